"""Training: train (a configuration from first to last step), loop, step (pure), log, run (what its workdir keeps)."""
