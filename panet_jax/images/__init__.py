"""One photograph or mask, in NumPy: decoding, resizing, scribbles."""
