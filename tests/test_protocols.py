"""Protocols are data: which list, which void, which false positives, which size."""

import pytest
from tiny import load_config

import panet_jax as pj
from panet_jax.evaluation.protocols import PANET2019, PROTOCOLS, STANDARD, test_list


@pytest.mark.parametrize(
    ('name', 'protocol', 'wanted'),
    [
        ('pascal5i', 'panet2019', 'trainaug'),
        ('pascal5i', 'standard', 'val'),
        ('coco20i', 'standard', 'val2014'),
        ('shapes', 'standard', 'test'),
    ],
)
def test_the_protocol_names_the_list_unless_one_is_asked_for(name, protocol, wanted):
    config = load_config(name)
    config.evaluation.protocol = protocol
    assert test_list(config) == wanted
    config.data.test_split = 'other'
    assert test_list(config) == 'other'


def test_ones_own_data_need_a_list():
    config = load_config('custom')
    config.data.test_split = ''
    with pytest.raises(pj.InputError, match='name the image list to test custom on'):
        test_list(config)


def test_protocols_are_those_of_the_papers():
    assert PROTOCOLS == {'panet2019': PANET2019, 'standard': STANDARD}
    assert (PANET2019.void_is_background, PANET2019.absent_false_positives, PANET2019.own_size) == (True, False, False)
    assert (STANDARD.void_is_background, STANDARD.absent_false_positives, STANDARD.own_size) == (False, True, True)
