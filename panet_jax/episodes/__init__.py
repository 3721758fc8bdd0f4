"""Episodes.

draws (episode number i), authors (the authors' draw), annotations, sampling (images and masks), loader (batches).
"""
