"""Which episode is number i, how its supports are annotated, and how batches are read."""
