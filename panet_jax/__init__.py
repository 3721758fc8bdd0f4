"""PANet, few-shot image segmentation with prototype alignment, in JAX.

The public names are those of __init__.pyi, which type checkers read; each is loaded when it is first asked for, so that
`import panet_jax` and the programs begin at once.
"""

import lazy_loader

__version__ = '0.2.0'

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
