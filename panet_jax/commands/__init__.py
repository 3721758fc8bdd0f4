"""The commands `predict`, `data` and `demo`, and how their options are read."""
