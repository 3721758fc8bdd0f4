"""Training.

train (a configuration from first to last step), loop, step (pure), log (metrics), run (files of the workdir).
"""
