"""The method: pure functions of one episode.

The paper: episode, panet, prototypes, losses. The adapted head: adapt. The Segmenter's own: presence (whether an image
shows a class), answers (the same for a folder, after some answers of a user; the default threshold), edges, expected_iou.
Encoders: encoder (their interface), vgg16, resnet, dinov2, dinov3, with convolution, transformer and initial (random
parameters); debias (features without the position). And metrics, axes (checks).
"""
