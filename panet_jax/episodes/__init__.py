"""Episodes: draws (which is number i), authors (their draw), annotations, sampling (images and masks), loader (batches)."""
