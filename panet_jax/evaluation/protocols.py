"""Evaluation protocols: the scoring of the authors' code, and that of later papers. settings.py has their names too."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from panet_jax.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The rules by which a benchmark is scored. Results of different protocols do not compare.

    Attributes:
        name: its name in settings and results.
        void_is_background: whether void pixels of a densely annotated support count as background.
        absent_false_positives: whether pixels predicted as a class count as false positives in a query without that
            class.
        own_size: whether queries are scored at the size of their label on disk, rather than at the network's.
        test_lists: {benchmark: default image list}; data.test_split takes precedence.
    """

    name: str
    void_is_background: bool
    absent_false_positives: bool
    own_size: bool
    test_lists: Mapping[str, str]


# The authors' code: test.py, dataloaders/customized.py (getMask), util/metric.py (record).
PANET2019 = Protocol(
    'panet2019',
    void_is_background=True,
    absent_false_positives=False,
    own_size=False,
    test_lists={'pascal5i': 'trainaug', 'coco20i': 'val2014'},
)
# As in PFENet and BAM. RePRI and HSNet score at another size: RePRI at 417 x 417, padded; HSNet, without
# --use_original_imgsize, at 400 x 400.
STANDARD = Protocol(
    'standard',
    void_is_background=False,
    absent_false_positives=True,
    own_size=True,
    test_lists={'pascal5i': 'val', 'coco20i': 'val2014'},
)
PROTOCOLS = {protocol.name: protocol for protocol in (PANET2019, STANDARD)}


def test_list(config: 'ConfigDict') -> str:
    """The image list of an evaluation: data.test_split, else the protocol's.

    Args:
        config: the evaluation.

    Returns:
        The name of the list.

    Raises:
        InputError: neither of them names a list.
    """
    lists = PROTOCOLS[config.evaluation.protocol].test_lists
    if not (config.data.test_split or config.data.name in lists):
        raise InputError(f'name the image list to test {config.data.name} on with {{data.test_split=}}.')
    return config.data.test_split or lists[config.data.name]


test_list.__test__ = False  # or pytest takes it for a test
