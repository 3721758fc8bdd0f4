"""Files as earlier versions wrote them."""

from pathlib import Path

import safetensors.numpy

from panet_jax.segmenter.saved import EVIDENCE


def without_evidence(path: Path) -> None:
    """Removes from the file of a segmenter what it takes to decide which classes an image shows."""
    arrays = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, 'numpy') as file:
        about = file.metadata()
    safetensors.numpy.save_file({name: array for name, array in arrays.items() if name not in EVIDENCE}, path, about)
