"""The names and layouts that parameters have in files, a module an architecture."""
