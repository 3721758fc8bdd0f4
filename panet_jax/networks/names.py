"""The names of all encoders and the prefix of addresses on the hub, for checks of options that must not import JAX."""

ENCODER_NAMES = (
    'vgg16',
    *(f'{name}{stage}' for name in ('resnet50', 'resnet101', 'resnet-tiny') for stage in ('', '-stage4')),
    *(f'dinov2-{size}{kind}' for size in ('tiny', 'small', 'base', 'large') for kind in ('', '-registers')),
    *(f'dinov3-{size}' for size in ('tiny', 'small', 'base', 'large')),
)
HUB = 'hf://'  # prefix of the address of an exported network on the Hugging Face hub
