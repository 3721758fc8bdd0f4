"""The names of all encoders, for checks of options, which must not import the encoders themselves."""

ENCODER_NAMES = (
    'vgg16',
    *(f'{name}{stage}' for name in ('resnet50', 'resnet101', 'resnet-tiny') for stage in ('', '-stage4')),
    *(f'dinov2-{size}{kind}' for size in ('tiny', 'small', 'base', 'large') for kind in ('', '-registers')),
    *(f'dinov3-{size}' for size in ('tiny', 'small', 'base', 'large')),
)
