"""Encoders by name, and their parameters: published, trained, in files of any library.

choose (what a user names -> a Network), encoders (name -> Encoder), initial (before training), trained (in a workdir),
published and imagenet (downloads), debias (a Network without the position), weights and layouts (files), checkpoints.
"""
