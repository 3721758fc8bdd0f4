"""DINOv2 in files: Hugging Face's names, the original ones with fused query, key and value, and timm's."""

import re

import flax.traverse_util
import numpy as np

from panet_jax.method.dinov2 import PATCH, POSITIONS
from panet_jax.method.encoder import Encoder
from panet_jax.method.transformer import recognized_size
from panet_jax.networks.layouts.layout import Entry, Layout, Tensors, renamed, short_names
from panet_jax.networks.layouts.transformer_entry import transformer_entry

# Our names -> Hugging Face's.
TOP = {
    'patches': 'embeddings.patch_embeddings.projection',
    'class_token': 'embeddings.cls_token',
    'positions': 'embeddings.position_embeddings',
    'registers': 'embeddings.register_tokens',
    'norm': 'layernorm',
}
BLOCK = {
    **{name: f'attention.attention.{name}' for name in ('query', 'key', 'value')},
    'projection': 'attention.output.dense',
    'scale1': 'layer_scale1.lambda1',
    'scale2': 'layer_scale2.lambda1',
    'expand': 'mlp.fc1',
    'contract': 'mlp.fc2',
}
# Names of the network's tensors, after any prefix.
PARTS_OF_NETWORK = r'embeddings|encoder\.layer|layernorm|patch_embed|blocks|norm'
NAME = rf'(?:.*?\.)??((?:{PARTS_OF_NETWORK})\..*|(?:cls|mask|reg|register)_tokens?|pos_embed)'
# The original names and timm's -> Hugging Face's.
ORIGINAL = (
    (r'cls_token', TOP['class_token']),
    (r'pos_embed', TOP['positions']),
    (r'(register_tokens|reg_token)', TOP['registers']),
    (r'patch_embed\.proj\.', f'{TOP["patches"]}.'),
    (r'norm\.', 'layernorm.'),
    (r'blocks\.(\d+)\.attn\.proj\.', r'encoder.layer.\1.attention.output.dense.'),
    (r'blocks\.(\d+)\.ls([12])\.gamma', r'encoder.layer.\1.layer_scale\2.lambda1'),
    (r'blocks\.(\d+)\.(norm[12]|mlp\.fc[12])\.', r'encoder.layer.\1.\2.'),
)


def _entries(encoder: Encoder, tensors: Tensors) -> list[Entry]:
    """The Entries of all parameters, by Hugging Face's names."""
    shapes = flax.traverse_util.flatten_dict(encoder.shapes())
    return [transformer_entry(path, leaf.shape, TOP, BLOCK, 'encoder.layer') for path, leaf in shapes.items()]


def _select(tensors: Tensors) -> Tensors:
    """The tensors by Hugging Face's names, without a prefix; the mask token (only for pretraining) and any head are left out."""
    matches = {name: re.fullmatch(NAME, name) for name in tensors}
    names = short_names({name: match[1] for name, match in matches.items() if match})
    short = {name: tensors[source] for name, source in names.items() if 'mask_token' not in name}
    return _from_original(short) if 'cls_token' in short else short


def _recognize(tensors: Tensors) -> tuple[str, float] | None:
    """The name and the width, from depth, channels and registers."""
    kernel = tensors.get(f'{TOP["patches"]}.weight')
    if kernel is None or kernel.ndim != 4 or kernel.shape[2:] != (PATCH, PATCH):
        return None
    depth = len({name.split('.')[2] for name in tensors if name.startswith('encoder.layer.')})
    recognized = recognized_size(kernel.shape[0], depth)
    end = '-registers' if TOP['registers'] in tensors else ''
    return recognized and (f'dinov2-{recognized[0]}{end}', recognized[1])


def _from_original(tensors):
    """Tensors by Hugging Face's names, with query, key and value split. An unknown name is kept, to be refused later."""
    result = {}
    for name, tensor in tensors.items():
        fused = re.fullmatch(r'blocks\.(\d+)\.attn\.qkv\.(weight|bias)', name)
        if fused and len(tensor) % 3 == 0:
            for part, array in zip(('query', 'key', 'value'), np.split(tensor, 3), strict=True):
                result[f'encoder.layer.{fused[1]}.attention.attention.{part}.{fused[2]}'] = array
        else:
            result[renamed(name, ORIGINAL)] = tensor
    return _with_class_position(result)


def _with_class_position(tensors):
    """Adds a zero position for the class token: with registers, timm has added that position to the token itself."""
    positions = tensors.get(TOP['positions'])
    if positions is None or positions.ndim != 3 or positions.shape[1] != POSITIONS**2:
        return tensors
    return {**tensors, TOP['positions']: np.concatenate([np.zeros_like(positions[:, :1]), positions], axis=1)}


LAYOUT = Layout(_entries, _select, _recognize)
