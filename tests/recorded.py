"""Small DINOs by formula, so that their features can be recorded and their weights need not be."""

import functools

import numpy as np

CHANNELS, DEPTH = 64, 2


def hugging_face_tensors(registers: bool) -> dict[str, np.ndarray]:
    """The tensors by Hugging Face's names, without the mask token."""
    channels = (CHANNELS,)
    shapes = {
        'embeddings.cls_token': (1, 1, CHANNELS),
        'embeddings.position_embeddings': (1, 1370, CHANNELS),
        'embeddings.patch_embeddings.projection.weight': (CHANNELS, 3, 14, 14),
        'embeddings.patch_embeddings.projection.bias': channels,
        'layernorm.weight': channels,
        'layernorm.bias': channels,
    }
    if registers:
        shapes['embeddings.register_tokens'] = (1, 4, CHANNELS)
    for index in range(DEPTH):
        block = f'encoder.layer.{index}.'
        for name in ('attention.attention.query', 'attention.attention.key', 'attention.attention.value'):
            shapes |= {f'{block}{name}.weight': (CHANNELS, CHANNELS), f'{block}{name}.bias': channels}
        shapes |= {
            f'{block}attention.output.dense.weight': (CHANNELS, CHANNELS),
            f'{block}attention.output.dense.bias': channels,
            f'{block}mlp.fc1.weight': (4 * CHANNELS, CHANNELS),
            f'{block}mlp.fc1.bias': (4 * CHANNELS,),
            f'{block}mlp.fc2.weight': (CHANNELS, 4 * CHANNELS),
            f'{block}mlp.fc2.bias': channels,
        }
        for name in ('norm1', 'norm2'):
            shapes |= {f'{block}{name}.weight': channels, f'{block}{name}.bias': channels}
        shapes |= {f'{block}layer_scale{number}.lambda1': channels for number in (1, 2)}
    return _drawn(shapes)


def dinov3_tensors() -> dict[str, np.ndarray]:
    """The tensors of a DINOv3 by Hugging Face's names, without the mask token."""
    channels, square = (CHANNELS,), (CHANNELS, CHANNELS)
    shapes = {
        'embeddings.cls_token': (1, 1, CHANNELS),
        'embeddings.register_tokens': (1, 4, CHANNELS),
        'embeddings.patch_embeddings.weight': (CHANNELS, 3, 16, 16),
        **dict.fromkeys(('embeddings.patch_embeddings.bias', 'norm.weight', 'norm.bias'), channels),
    }
    for index in range(DEPTH):
        of_block = {
            **{f'attention.{name}_proj.weight': square for name in 'qkvo'},
            **{f'attention.{name}_proj.bias': channels for name in 'qvo'},
            'mlp.up_proj.weight': (4 * CHANNELS, CHANNELS),
            'mlp.up_proj.bias': (4 * CHANNELS,),
            'mlp.down_proj.weight': (CHANNELS, 4 * CHANNELS),
            'mlp.down_proj.bias': channels,
            **{f'norm{number}.{part}': channels for number in (1, 2) for part in ('weight', 'bias')},
            **{f'layer_scale{number}.lambda1': channels for number in (1, 2)},
        }
        shapes |= {f'layer.{index}.{name}': shape for name, shape in of_block.items()}
    return _drawn(shapes)


def _drawn(shapes):
    random = np.random.default_rng(0)
    return {name: random.normal(0, 0.15, shape).astype(np.float32) for name, shape in sorted(shapes.items())}


RECORDED = {
    'dinov2-tiny': functools.partial(hugging_face_tensors, registers=False),
    'dinov2-tiny-registers': functools.partial(hugging_face_tensors, registers=True),
    'dinov3-tiny': dinov3_tensors,
}


def images(patch: int = 14) -> np.ndarray:
    """Images [2, 5 * patch, 3 * patch, 3] float32: a grid of 5 x 3."""
    return np.random.default_rng(1).normal(0, 1, (2, 5 * patch, 3 * patch, 3)).astype(np.float32)
