"""The names of a row of results in tables and files."""

import re

from panet_jax.networks.encoders import DEFAULT
from panet_jax.networks.history import UNTRAINED


def network_name(row: dict) -> str:
    """The name of a network in tables.

    Args:
        row: a row of results.

    Returns:
        'step 6', 'given: 30000.pth', 'untrained', or, for another encoder than VGG-16, 'untrained resnet50'.
    """
    if row['checkpoint_step']:
        return f'step {row["checkpoint_step"]}'
    weights = row['weights']
    if weights in UNTRAINED:
        encoder = row.get('encoder', DEFAULT)  # rows of earlier versions lack it
        return 'untrained' if encoder == DEFAULT else f'untrained {encoder}'
    return f'given: {weights.rstrip("/").rpartition("/")[2]}'


def picture_name(row: dict) -> str:
    """The file name of the pictures of an evaluation.

    Args:
        row: a row of results.

    Returns:
        A name that ends in '.png'.
    """
    return f'{file_name(network_name(row))}-{setting_name(row)}.png'


def file_name(text: str) -> str:
    """Replaces characters that file names should not have: 'given: 30000.pth' -> 'given-30000.pth'.

    Args:
        text: any name.

    Returns:
        The name, of letters, digits and `_.=+-`.
    """
    return re.sub(r'[^\w.=+]+', '-', text)


def setting_name(row: dict) -> str:
    """The part of a file name that distinguishes the settings of evaluations.

    Args:
        row: a row of results.

    Returns:
        Ways, shots, annotation, protocol and draw.
    """
    draw = '-authors-draw' if row['draw'] == 'panet2019' else ''
    head = '' if row.get('head', 'panet') == 'panet' else f'-{row["head"]}'
    debias = f'-debias-{row["debias"]:g}' if row.get('debias') else ''
    return f'{row["ways"]}way-{row["shots"]}shot-{row["annotation"]}-protocol-{row["protocol"]}{head}{debias}{draw}'


def head_clause(row: dict) -> str:
    """The part of a heading that names the head, and the share of a debias.

    Args:
        row: a row of results.

    Returns:
        Text such as ', adapted head, debias 0.5'; '' for the paper's head without a debias.
    """
    head = row.get('head', 'panet')  # rows of earlier versions lack it
    debias = f', debias {row["debias"]:g}' if row.get('debias') else ''
    return ('' if head == 'panet' else f', {head} head') + debias
