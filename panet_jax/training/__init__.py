"""The training step, which is pure, and the loop around it."""
