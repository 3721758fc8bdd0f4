"""Runs of episodes on unseen classes, counted with one pass over the images, and scored."""
