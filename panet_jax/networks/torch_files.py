"""Reads the tensors of a PyTorch checkpoint without PyTorch, and without running code from it.

There are two formats. In the zip format of torch >= 1.6 a pickle `data.pkl` refers to raw storages `data/<key>`. Before
that, a file had five pickles in a row, followed by the storages. Only the few globals that a dictionary of tensors needs
are resolved; any other is refused.
"""

import collections
import dataclasses
import io
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {
    'FloatStorage': np.dtype('<f4'),
    'DoubleStorage': np.dtype('<f8'),
    'HalfStorage': np.dtype('<f2'),
    'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
    'LongStorage': np.dtype('<i8'),
    'IntStorage': np.dtype('<i4'),
    'ShortStorage': np.dtype('<i2'),
    'CharStorage': np.dtype('<i1'),
    'ByteStorage': np.dtype('<u1'),
    'BoolStorage': np.dtype('?'),
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """The place of a tensor in a storage.

    Attributes:
        key: name of the storage.
        dtype: dtype of its elements.
        offset: first element of the tensor.
        size: shape of the tensor.
        stride: number of elements from one index to the next, for each axis.
    """

    key: str
    dtype: np.dtype
    offset: int
    size: tuple
    stride: tuple

    def view(self, storage: bytes) -> np.ndarray:
        """Copies the tensor out of its storage.

        Args:
            storage: bytes of the storage.

        Returns:
            An array of shape `size`.

        Raises:
            UnpicklingError: the tensor reaches outside the storage.
        """
        flat = np.frombuffer(storage, self.dtype, count=len(storage) // self.dtype.itemsize)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if math.prod(self.size) == 0:
            return np.zeros(self.size, self.dtype)
        if self.offset < 0 or min(self.size + self.stride, default=0) < 0 or last >= len(flat):
            raise pickle.UnpicklingError(f'a tensor of shape {self.size} reaches outside its storage')
        strides = tuple(step * self.dtype.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.size, strides).copy()


class _RebuildTensor:
    """Replaces torch._utils._rebuild_tensor_v2. It has no attributes, so that a pickle can set none."""

    __slots__ = ()

    def __call__(self, storage, offset, size, stride, *_):
        key, dtype = storage
        return Tensor(key, dtype, offset, tuple(size), tuple(stride))


class _RebuildParameter:
    """Replaces torch._utils._rebuild_parameter."""

    __slots__ = ()

    def __call__(self, tensor, *_):
        return tensor


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that resolves a closed list of globals and nothing else.

    Args:
        file: the pickle.
        allowed: {(module, name): value} of the globals.
    """

    def __init__(self, file: BinaryIO, allowed: Mapping[tuple[str, str], Any]):
        super().__init__(file)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Resolves a global; pickle calls this for each one in the file.

        Raises:
            UnpicklingError: the global is not allowed.
        """
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f'{module}.{name} is not allowed in a weights file')
        return self._allowed[module, name]


class _TensorUnpickler(RestrictedUnpickler):
    def __init__(self, file):
        allowed = {('torch', name): name for name in STORAGE_DTYPES}
        allowed |= {
            ('collections', 'OrderedDict'): collections.OrderedDict,
            ('torch._utils', '_rebuild_tensor'): _RebuildTensor(),
            ('torch._utils', '_rebuild_tensor_v2'): _RebuildTensor(),
            ('torch._utils', '_rebuild_parameter'): _RebuildParameter(),
        }
        super().__init__(file, allowed)

    def persistent_load(self, persistent_id):
        kind, storage, key, *_ = persistent_id
        if kind != 'storage' or storage not in STORAGE_DTYPES:
            raise pickle.UnpicklingError(f'unknown persistent id {persistent_id!r:.80}')
        return str(key), STORAGE_DTYPES[storage]


def read_torch_file(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Reads tensors of a PyTorch checkpoint.

    Args:
        path: `.pth` or `.pt` file in either format: a dictionary of tensors, possibly nested.
        wanted: whether to read the tensor of a (flattened, dotted) name.

    Returns:
        {name: array}.

    Raises:
        Exception: almost any exception, if the file has another format or is damaged.
    """
    if zipfile.is_zipfile(path):
        return _read_zip(path, wanted)
    return _read_legacy(path, wanted)


def _read_zip(path, wanted):
    with zipfile.ZipFile(path) as archive:
        (index,) = [name for name in archive.namelist() if name.endswith('/data.pkl')]
        root = index.removesuffix('data.pkl')
        if root + 'byteorder' in archive.namelist() and archive.read(root + 'byteorder') != b'little':
            raise pickle.UnpicklingError('big-endian checkpoints are not supported')
        tensors = _flatten(_TensorUnpickler(io.BytesIO(archive.read(index))).load())
        return {
            name: tensor.view(archive.read(f'{root}data/{tensor.key}'))
            for name, tensor in tensors.items()
            if wanted(name)
        }


def _read_legacy(path, wanted):
    with open(path, 'rb') as file:
        if _TensorUnpickler(file).load() != LEGACY_MAGIC:
            raise pickle.UnpicklingError('not a PyTorch checkpoint')
        _protocol, _system = _TensorUnpickler(file).load(), _TensorUnpickler(file).load()
        tensors = _flatten(_TensorUnpickler(file).load())
        dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
        needed = {tensor.key for name, tensor in tensors.items() if wanted(name)}
        storages = {}
        for key in map(str, _TensorUnpickler(file).load()):
            length = int.from_bytes(file.read(8), 'little', signed=True) * dtypes[key].itemsize
            if length < 0:
                raise pickle.UnpicklingError('a storage of negative length')
            if key in needed:
                storages[key] = file.read(length)
            else:
                file.seek(length, io.SEEK_CUR)
        return {name: tensor.view(storages[tensor.key]) for name, tensor in tensors.items() if wanted(name)}


def _flatten(tree, prefix=''):
    """{'state_dict': {'a.b': Tensor}, 'epoch': 3} -> {'state_dict.a.b': Tensor}."""
    if isinstance(tree, Tensor):
        return {prefix: tree}
    flat = {}
    if isinstance(tree, dict):
        for name, value in tree.items():
            flat |= _flatten(value, f'{prefix}.{name}' if prefix else str(name))
    return flat
