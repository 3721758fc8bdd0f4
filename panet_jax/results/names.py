"""What the network and the files of one row of results are called."""

import re

from panet_jax.networks.trained import UNTRAINED


def network_name(row):
    """What the network of one row of results is called: by its step, as given, or as untrained."""
    if row['checkpoint_step']:
        return f'step {row["checkpoint_step"]}'
    weights = row['weights']
    return 'untrained' if weights in UNTRAINED else f'given: {weights.rstrip("/").rpartition("/")[2]}'


def picture_name(row):
    """The file name of the pictures of one row of results."""
    return f'{file_name(network_name(row))}-{setting_name(row)}.png'


def file_name(text):
    """A name for people as a file's: of 'given: 30000.pth', 'given-30000.pth'."""
    return re.sub(r'[^\w.=+]+', '-', text)


def setting_name(row):
    """What one row of results was measured on, for the name of a file."""
    draw = '-authors-draw' if row['draw'] == 'panet2019' else ''
    return f'{row["ways"]}way-{row["shots"]}shot-{row["annotation"]}-protocol-{row["protocol"]}{draw}'
