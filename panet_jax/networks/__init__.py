"""Encoders by name, and their parameters: published, trained, in files of any library.

choose (a user's name for it -> a Network), encoders (name -> Encoder), network, initial (before training), history (what
weights were trained on), published and imagenet (downloads), hub and exported (shared networks), debias (features without
the position), weights, torch_files and layouts (files), checkpoints, names (for checks without JAX).
"""
