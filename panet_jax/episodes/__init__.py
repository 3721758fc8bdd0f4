"""Episodes.

draws (which images are the supports and queries of episode i), authors (the authors' draws), assembly (reads those images
and masks), annotations, loader (batches), shared_arrays (between processes).
"""
