"""A program of JAX as an ONNX model: each primitive becomes nodes of ONNX's graph.

`model.py` makes the model of a Segmenter, `walk.py` goes through the program, `graph.py` collects nodes, and the
other files know a kind of primitives each.
"""
