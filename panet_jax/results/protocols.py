"""Evaluation protocols: how scoring differs between the authors' code and later papers."""

import dataclasses
from collections.abc import Mapping

from panet_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a benchmark is scored. Results of different protocols do not compare.

    Attributes:
        name: its name in settings and results.
        void_is_background: whether the void pixels of a densely annotated support count as background.
        absent_false_positives: whether pixels predicted as a class count as false positives in a query
            whose label does not show the class.
        own_size: whether queries are scored at the size of their label on disk, or at the network's.
        test_lists: the image list of each benchmark, unless data.test_split names one.
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
# As PFENet and BAM score. RePRI and HSNet score at another size: 417 x 417, padded, and, without
# --use_original_imgsize, at 400 x 400.
STANDARD = Protocol(
    'standard',
    void_is_background=False,
    absent_false_positives=True,
    own_size=True,
    test_lists={'pascal5i': 'val', 'coco20i': 'val2014'},
)
PROTOCOLS = {protocol.name: protocol for protocol in (PANET2019, STANDARD)}


def test_list(config) -> str:
    """The image list that a configuration is evaluated on: data.test_split, else the protocol's."""
    lists = PROTOCOLS[config.evaluation.protocol].test_lists
    if not (config.data.test_split or config.data.name in lists):
        raise InputError(f'name the image list to test {config.data.name} on with {{data.test_split=}}.')
    return config.data.test_split or lists[config.data.name]


test_list.__test__ = False  # a name that pytest would collect
