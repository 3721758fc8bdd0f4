"""Evaluation on the unseen classes.

evaluate (a configuration -> scores and pictures), table (many evaluations), protocols (rules of scoring), runs
(episodes), checkpoint (the network), counting (pixels, with one pass over the images) with batches, image_sums and
feature_cache, plain (the same, one episode at a time), scores, identity.
"""
