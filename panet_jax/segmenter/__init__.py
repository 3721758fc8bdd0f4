"""Classes that are shown on a few photographs are found in others."""
