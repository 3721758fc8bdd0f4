"""How tables and files call a row of results."""

import re

from panet_jax.networks.trained import UNTRAINED


def network_name(row: dict) -> str:
    """The name of a row's network: 'step 6', 'given: 30000.pth' or 'untrained'."""
    if row['checkpoint_step']:
        return f'step {row["checkpoint_step"]}'
    weights = row['weights']
    return 'untrained' if weights in UNTRAINED else f'given: {weights.rstrip("/").rpartition("/")[2]}'


def picture_name(row: dict) -> str:
    """The file name of the pictures of one row of results."""
    return f'{file_name(network_name(row))}-{setting_name(row)}.png'


def file_name(text: str) -> str:
    """A name that a file can have: 'given: 30000.pth' -> 'given-30000.pth'."""
    return re.sub(r'[^\w.=+]+', '-', text)


def setting_name(row: dict) -> str:
    """The part of a file name that says how a row was measured."""
    draw = '-authors-draw' if row['draw'] == 'panet2019' else ''
    head = '' if row.get('head', 'panet') == 'panet' else f'-{row["head"]}'
    return f'{row["ways"]}way-{row["shots"]}shot-{row["annotation"]}-protocol-{row["protocol"]}{head}{draw}'


def head_clause(row: dict) -> str:
    """What a heading says of the head, such as ', adapted head'; nothing of the paper's."""
    head = row.get('head', 'panet')  # not in rows of earlier versions
    return '' if head == 'panet' else f', {head} head'
