"""A small DINOv2 by formula, so that its features can be recorded and its weights need not be."""

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
    random = np.random.default_rng(0)
    return {name: random.normal(0, 0.15, shape).astype(np.float32) for name, shape in sorted(shapes.items())}


def images() -> np.ndarray:
    """Images [2, 70, 42, 3] float32: a grid of 5 x 3."""
    return np.random.default_rng(1).normal(0, 1, (2, 70, 42, 3)).astype(np.float32)
