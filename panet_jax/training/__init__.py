"""Training.

train (a configuration from first to last step), episodes (what it trains on), loop (when to save and to log), step
(pure, with the optimizer and its learning rates), log (metrics), run (files of the workdir).
"""
