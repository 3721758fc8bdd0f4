"""The names of all encoders, and how an address on the hub begins, for checks of options, which must not import JAX."""

ENCODER_NAMES = (
    'vgg16',
    *(f'{name}{stage}' for name in ('resnet50', 'resnet101', 'resnet-tiny') for stage in ('', '-stage4')),
    *(f'dinov2-{size}{kind}' for size in ('tiny', 'small', 'base', 'large') for kind in ('', '-registers')),
    *(f'dinov3-{size}' for size in ('tiny', 'small', 'base', 'large')),
)
HUB = 'hf://'  # begins the address of an exported network on the Hugging Face hub
