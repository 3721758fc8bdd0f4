"""The names of the encoders there are, for those who only want to know whether a word is one."""

ENCODER_NAMES = (
    'vgg16',
    *(f'{name}{stage}' for name in ('resnet50', 'resnet101', 'resnet-tiny') for stage in ('', '-stage4')),
    *(f'dinov2-{size}{kind}' for size in ('tiny', 'small', 'base', 'large') for kind in ('', '-registers')),
)
