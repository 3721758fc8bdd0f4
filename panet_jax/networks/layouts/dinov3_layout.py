"""DINOv3 in files: Hugging Face's names, and the original ones with fused query, key and value."""

import re

import flax.traverse_util
import numpy as np

from panet_jax.method.dinov3 import PATCH
from panet_jax.method.encoder import Encoder
from panet_jax.method.transformer import recognized_size
from panet_jax.networks.layouts.layout import Entry, Layout, Tensors, renamed, short_names
from panet_jax.networks.layouts.transformer_entry import transformer_entry

# Our names -> Hugging Face's.
TOP = {
    'patches': 'embeddings.patch_embeddings',
    'class_token': 'embeddings.cls_token',
    'registers': 'embeddings.register_tokens',
    'norm': 'norm',
}
BLOCK = {
    'query': 'attention.q_proj',
    'key': 'attention.k_proj',
    'value': 'attention.v_proj',
    'projection': 'attention.o_proj',
    'scale1': 'layer_scale1.lambda1',
    'scale2': 'layer_scale2.lambda1',
    'expand': 'mlp.up_proj',
    'contract': 'mlp.down_proj',
}
# Names of the network's tensors, after any prefix.
NAME = r'(?:.*?\.)??((?:embeddings|layer|norm|patch_embed|blocks|rope_embed)\..*|(?:cls|storage|mask)_tokens?)'
# The original names -> Hugging Face's.
ORIGINAL = (
    (r'cls_token', TOP['class_token']),
    (r'storage_tokens', TOP['registers']),
    (r'patch_embed\.proj\.', f'{TOP["patches"]}.'),
    (r'blocks\.(\d+)\.attn\.proj\.', r'layer.\1.attention.o_proj.'),
    (r'blocks\.(\d+)\.ls([12])\.gamma', r'layer.\1.layer_scale\2.lambda1'),
    (r'blocks\.(\d+)\.norm([12])\.', r'layer.\1.norm\2.'),
    (r'blocks\.(\d+)\.mlp\.fc1\.', r'layer.\1.mlp.up_proj.'),
    (r'blocks\.(\d+)\.mlp\.fc2\.', r'layer.\1.mlp.down_proj.'),
)
# Not needed: the mask token is for pretraining only; the periods, and the zero bias of the key, are in the code.
UNUSED = r'.*mask_token|rope_embed\..*|blocks\.\d+\.attn\.qkv\.bias_mask'
FUSED = r'blocks\.(\d+)\.attn\.qkv\.(weight|bias)'


def _entries(encoder: Encoder, tensors: Tensors) -> list[Entry]:
    """The Entries of all parameters."""
    shapes = flax.traverse_util.flatten_dict(encoder.shapes())
    return [transformer_entry(path, leaf.shape, TOP, BLOCK, 'layer') for path, leaf in shapes.items()]


def _select(tensors: Tensors) -> Tensors:
    """The tensors by Hugging Face's names, without a prefix and without UNUSED ones."""
    matches = {name: re.fullmatch(NAME, name) for name in tensors}
    names = short_names({name: match[1] for name, match in matches.items() if match})
    result = {}
    for name, source in names.items():
        fused = re.fullmatch(FUSED, name)
        if fused and len(tensors[source]) % 3 == 0:
            result |= _split(tensors[source], *fused.groups())
        elif not re.fullmatch(UNUSED, name):
            result[renamed(name, ORIGINAL)] = tensors[source]
    return result


def _split(fused, index, part):
    """Splits a fused tensor into query, key and value, by name; the bias of the key, which the original masks, is left out."""
    arrays = zip('qkv', np.split(fused, 3), strict=True)
    return {
        f'layer.{index}.attention.{name}_proj.{part}': array for name, array in arrays if (name, part) != ('k', 'bias')
    }


def _recognize(tensors: Tensors) -> tuple[str, float] | None:
    """The name and the width, from depth and channels."""
    kernel = tensors.get(f'{TOP["patches"]}.weight')
    if kernel is None or kernel.ndim != 4 or kernel.shape[2:] != (PATCH, PATCH):
        return None
    depth = len({name.split('.')[1] for name in tensors if name.startswith('layer.')})
    recognized = recognized_size(kernel.shape[0], depth)
    return recognized and (f'dinov3-{recognized[0]}', recognized[1])


LAYOUT = Layout(_entries, _select, _recognize)
