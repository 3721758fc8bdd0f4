"""The Segmenter: it is shown classes on a few photographs, and finds them in others."""
