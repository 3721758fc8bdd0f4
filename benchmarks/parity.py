"""Compares our encoders with those of torchvision and transformers, with the same random weights.

    pip install 'panet-jax[parity]'
    python benchmarks/parity.py [--encoders NAME ...] [--speed [--repeats 9]] [--record tests/golden]

Prints, for each network and size of image, the relative L2 distance of the features, and that of the gradients' norms.
Exit status 1 if a distance of features is above 1e-5 or one of norms above 1e-3. With --speed it measures instead, in
turns with the other library and with as many threads: milliseconds for each photograph (medians), how many times as fast
ours is, and our arithmetic rate as a share of that of a product of large matrices. With --record it writes the
features that transformers computes with the small networks of tests/recorded.py, for the tests, which have no torch.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.torch
import torch
from torch.utils.flop_counter import FlopCounterMode

import panet_jax as pj
from panet_jax.networks.choose import load_params
from panet_jax.networks.encoders import encoder_named

SIZES = {
    'dinov2': [(224, 224), (280, 420), (518, 518)],
    'dinov3': [(224, 224), (288, 432), (512, 512)],
    'resnet': [(224, 224), (225, 321), (417, 417)],
}
SHAPES = {'tiny': (128, 2), 'small': (384, 12), 'base': (768, 12), 'large': (1024, 24)}  # channels and depth
NAMES = (
    *('dinov2-tiny', 'dinov2-small', 'dinov2-base', 'dinov2-tiny-registers', 'dinov2-small-registers'),
    *('dinov3-tiny', 'dinov3-small', 'dinov3-base', 'dinov3-large'),
    *('resnet50', 'resnet101', 'resnet50-stage4'),
)
FASTEST = ('dinov2-small', 'resnet50', 'vgg16')  # whose speed is measured
MOST = {'features': 1e-5, 'gradient': 1e-3}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--record', type=Path, help='folder to write the recorded network to, and nothing else')
    parser.add_argument('--encoders', nargs='+', choices=NAMES, metavar='NAME')
    parser.add_argument('--speed', action='store_true', help='measure in place of comparing')
    parser.add_argument('--repeats', type=int, default=9, help='of each measurement')
    arguments = parser.parse_args()
    _import_torchvision()
    if arguments.record:
        record(arguments.record)
        return
    if arguments.speed:
        print_speed(arguments)
        return
    worst = {'features': 0.0, 'gradient': 0.0}
    for name in arguments.encoders or NAMES:
        for size, distances in compare(name):
            print(
                f'{name:24} {size[0]:3} x {size[1]:3}  ' + '  '.join(f'{k} {v:.1e}' for k, v in distances.items()),
                flush=True,
            )
            worst = {kind: max(worst[kind], distances[kind]) for kind in worst}
    sys.exit(any(worst[kind] > MOST[kind] for kind in worst))


def both(name):
    """Our encoder and its parameters, and the other library's function of images [B, 3, H, W], with the same weights."""
    torch.manual_seed(0)
    makers = {'resnet': resnet, 'vgg16': vgg16}
    model, features = makers.get(name[:6], transformer)(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'weights.safetensors'
        safetensors.torch.save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
        encoder = encoder_named(name, pj.load_network(path).encoder.width)
        return encoder, load_params(path, encoder), features


def compare(name):
    """((height, width), {'features', 'gradient': distance}) of each size."""
    encoder, params, features = both(name)
    for height, width in SIZES[name[:6]]:
        images = torch.randn(1, 3, height, width, requires_grad=True)
        theirs = features(images)
        (theirs**2).mean().backward()
        inputs = jnp.asarray(images.detach().permute(0, 2, 3, 1).numpy())
        ours = encoder.encode(params, inputs)
        gradient = jax.grad(lambda inputs, encoder=encoder: (encoder.encode(params, inputs) ** 2).mean())(inputs)
        norm = np.linalg.norm(images.grad)
        yield (
            (height, width),
            {
                'features': relative(ours, theirs.detach().permute(0, 2, 3, 1).numpy()),
                'gradient': float(abs(np.linalg.norm(gradient) - norm) / norm),
            },
        )


def relative(ours, theirs):
    """Relative L2 distance."""
    return float(np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs))


def print_speed(arguments):
    """Prints a line for each encoder: both libraries in turns, at the size the encoder was made for."""
    torch.set_num_threads(os.cpu_count())
    peak = matmul_speed(arguments.repeats)
    print(f'a product of matrices: {peak / 1e9:.0f} GFLOP/s')
    for name in arguments.encoders or FASTEST:
        print_speed_of(name, arguments.repeats, peak)


def print_speed_of(name, repeats, peak):
    """Prints a line of one encoder; `peak` is in operations a second."""
    encoder, params, features = both(name)
    images = torch.randn(1, 3, encoder.size, encoder.size)
    inputs = jnp.asarray(images.permute(0, 2, 3, 1).numpy())
    program = jax.jit(encoder.encode).lower(params, inputs).compile()
    with torch.inference_mode():
        ours, theirs = in_turns(
            [lambda: program(params, inputs).block_until_ready(), lambda: features(images)], repeats
        )
        with FlopCounterMode(display=False) as counter:
            features(images)
    print(
        f'{name:24} {encoder.size} x {encoder.size}  ours {1000 * ours:6.0f} ms  PyTorch {1000 * theirs:6.0f} ms  '
        f'{theirs / ours:.2f} times as fast  {counter.get_total_flops() / ours / peak:.0%} of the speed of that product',
        flush=True,
    )


def in_turns(functions, repeats):
    """The median seconds of each function; all are called once before."""
    seconds = [[] for _ in functions]
    for round_number in range(1 + repeats):
        for function, of_function in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            if round_number:
                of_function.append(time.perf_counter() - started)
    return [statistics.median(of_function) for of_function in seconds]


def matmul_speed(repeats):
    """Floating-point operations a second of a product of two float32 matrices of 2048 x 2048."""
    matrix = jnp.ones((2048, 2048))
    product = jax.jit(lambda x: jnp.dot(x, x, precision='highest'))
    (seconds,) = in_turns([lambda: product(matrix).block_until_ready()], repeats)
    return 2 * 2048**3 / seconds


def vgg16(_):
    """A random VGG-16 as the authors' code has it, and images -> its features."""
    from pytorch_panet import make_encoder

    model = torch.nn.ModuleDict({'features': make_encoder()})
    return model, model['features']


def transformer(name):
    """A random model of transformers, and images [B, 3, H, W] -> its patch features [B, C, h, w]."""
    model = transformer_model(name, *SHAPES[name.split('-')[1]])
    with torch.no_grad():
        for parameter in model.parameters():  # LayerScale and biases are constants at first
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model, lambda images: _patches(model, images)


def transformer_model(name, channels, depth):
    """The model of transformers of a name, with random parameters."""
    import transformers

    sizes = {'hidden_size': channels, 'num_hidden_layers': depth, 'num_attention_heads': channels // 64}
    if name.startswith('dinov3'):
        config = transformers.DINOv3ViTConfig(**sizes, intermediate_size=4 * channels, num_register_tokens=4)
        return transformers.DINOv3ViTModel(config).eval()
    kind = 'Dinov2WithRegisters' if name.endswith('-registers') else 'Dinov2'
    config = getattr(transformers, f'{kind}Config')(**sizes, image_size=518, patch_size=14)
    return getattr(transformers, f'{kind}Model')(config).eval()


def _patches(model, images):
    tokens = model(images).last_hidden_state
    height, width = (side // model.config.patch_size for side in images.shape[2:])
    return tokens[:, -height * width :].transpose(1, 2).reshape(len(images), -1, height, width)


def resnet(name):
    """A random model of torchvision, and images -> input of the last ReLU of stage 3 or 4."""
    from torchvision import models

    make = getattr(models, name.partition('-')[0])
    model = make(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1)
                module.bias.normal_(0, 0.1)
    last = (model.layer4 if name.endswith('stage4') else model.layer3)[-1].relu
    if not name.endswith('stage4'):
        model.layer4 = torch.nn.Identity()
    model.fc = torch.nn.Identity()

    def features(images):
        inputs = []
        hook = last.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].clone()))
        model(images)
        hook.remove()
        return inputs[-1]

    return model, features


def record(folder):
    """Writes the features that transformers computes with the small networks of tests/recorded.py."""
    sys.path.insert(0, str(Path(__file__).parents[1] / 'tests'))
    from recorded import CHANNELS, DEPTH, RECORDED, images

    outputs = {}
    for name, tensors_of in RECORDED.items():
        model = transformer_model(name, CHANNELS, DEPTH)
        tensors = {key: torch.tensor(array) for key, array in tensors_of().items()}
        mask = model.state_dict()['embeddings.mask_token']
        model.load_state_dict(tensors | {'embeddings.mask_token': mask})
        with torch.no_grad():
            features = _patches(model, torch.tensor(images(model.config.patch_size).transpose(0, 3, 1, 2)))
        outputs[name] = features.permute(0, 2, 3, 1).numpy()
    np.savez_compressed(folder / 'transformers_tiny.npz', **outputs)


def _import_torchvision():
    """Lets torchvision be imported beside a torch of another build: none of its own operators is called here."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        register = torch.library.register_fake
        library = torch.library.Library('torchvision', 'DEF')
        library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        torch.library.register_fake = lambda name, *rest, **options: (
            (lambda function: function) if str(name).startswith('torchvision::') else register(name, *rest, **options)
        )
        _import_torchvision.library = library  # which ends with its last reference


if __name__ == '__main__':
    main()
