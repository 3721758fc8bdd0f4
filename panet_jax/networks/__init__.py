"""Parameters of an encoder, from wherever they are and back to files."""
