"""The method: pure functions of one episode.

The paper's in episode, panet, prototypes and losses; adapt (the adapted head), presence (is a class in a photograph
at all); encoder (what an encoder is), vgg16, resnet, dinov2 and dinov3 (both of transformer) and their layers; debias
(features without the position); metrics.
"""
