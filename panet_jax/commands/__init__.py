"""The commands `predict`, `data` and `demo`, the experiment of the main program, and their options and endings."""
