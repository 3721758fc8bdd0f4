"""Episodes.

draws (the images of episode i), authors (the authors' draws), annotations, sampling (reads images and masks), loader
(batches), shared_arrays (between processes).
"""
