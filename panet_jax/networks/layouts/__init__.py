"""The names and layouts of parameters in files, one module for each architecture."""
