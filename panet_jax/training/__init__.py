"""Training.

train (a configuration from first to last step), episodes (what it trains on), step (pure, with the optimizer and its
learning rates), log (metrics), run (files of the workdir, and what the data were).
"""
