"""The Episode, the data type that the rest of the package takes or makes."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes

# The label of pixels that no loss and no score counts: PASCAL VOC's void.
IGNORE = 255

# The statistics that torchvision's ImageNet networks were trained with, RGB in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@flax.struct.dataclass
class Episode:
    """One few-shot task: N classes shown by K annotated images each, and Q images to segment.

    The mathematics takes the *prepared* form. Loaders make the *compact* form, with a quarter of the bytes; `prepare`
    converts it on the device.

    Attributes:
        support_images: [N, K, H, W, 3] float32, normalized (compact: uint8 RGB).
        support_foreground: [N, K, H, W] float32 in {0, 1}, pixels of the way's class (compact: bool).
        support_background: [N, K, H, W] float32 in {0, 1}, pixels of none of the N classes
            (compact: bool). A pixel may be in neither mask.
        query_images: [Q, H, W, 3] float32, normalized (compact: uint8 RGB).
        query_labels: [Q, H, W] int32, 0 background, n for way n of 1..N, 255 ignored (compact: uint8).
    """

    support_images: jax.Array
    support_foreground: jax.Array
    support_background: jax.Array
    query_images: jax.Array
    query_labels: jax.Array


def normalize(images: jax.Array) -> jax.Array:
    """Subtracts ImageNet's mean and divides by its standard deviation.

    Args:
        images: [..., 3] uint8 RGB.

    Returns:
        [..., 3] float32, about -2.2 to 2.7.

    Raises:
        TypeError: the images are not uint8, so that their range is unknown.
        AssertionError: the last axis is not that of three colors.
    """
    if images.dtype != np.uint8:
        raise TypeError(f'normalize wants uint8 images with values 0..255, got {images.dtype}.')
    check_axes('normalize', images=(images, '... 3', int))
    mean = np.asarray(IMAGENET_MEAN, np.float32)
    std = np.asarray(IMAGENET_STD, np.float32)
    scaled = jnp.asarray(images).astype(jnp.float32) / 255
    return (scaled - _last_axis(mean, images.ndim)) / _last_axis(std, images.ndim)


def _last_axis(vector, ndim):
    return vector.reshape((1,) * (ndim - 1) + vector.shape)


def prepare(episode: Episode) -> Episode:
    """Converts a compact episode, as loaders make it, to the prepared form.

    Args:
        episode: compact: uint8 images, bool masks, uint8 labels.

    Returns:
        The prepared episode: float32 images and masks, int32 labels.

    Raises:
        TypeError: it is no Episode, or its images are not uint8.
        AssertionError: the shapes of the arrays do not fit together.
    """
    check_is_episode(episode)
    check_axes(
        'prepare',
        support_images=(episode.support_images, '... N K H W 3', int),
        support_foreground=(episode.support_foreground, '... N K H W', None),
        support_background=(episode.support_background, '... N K H W', None),
        query_images=(episode.query_images, '... Q H W 3', int),
        query_labels=(episode.query_labels, '... Q H W', int),
    )
    return Episode(
        support_images=normalize(episode.support_images),
        support_foreground=jnp.asarray(episode.support_foreground).astype(jnp.float32),
        support_background=jnp.asarray(episode.support_background).astype(jnp.float32),
        query_images=normalize(episode.query_images),
        query_labels=jnp.asarray(episode.query_labels).astype(jnp.int32),
    )


def check_is_episode(episode: Episode) -> None:
    """Checks that an argument is an Episode, to detect swapped arguments.

    Args:
        episode: the argument.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(episode, Episode):
        raise TypeError(f'episode must be a pj.Episode, got {type(episode).__name__}.')


def check_episode(episode: Episode) -> None:
    """Checks shapes and dtypes of one prepared episode; costs no run time under jit.

    Labels are checked too where their values are known. Under jit they are not; there a label that is neither 0..N nor
    255 makes the loss NaN.

    Args:
        episode: the prepared episode, without a batch axis.

    Raises:
        ValueError: a field has the wrong shape, or a label is out of range. The message names the field, what is
            wanted and what it is.
        TypeError: it is no Episode, or a field has the wrong dtype.
    """
    check_is_episode(episode)
    images = episode.support_images
    if images.ndim != 5 or images.shape[-1] != 3:
        raise ValueError(f'support_images must be [N, K, H, W, 3], got shape {images.shape}.')
    n, k, h, w, _ = images.shape
    q = episode.query_images.shape[0]
    wanted = {
        'support_images': ((n, k, h, w, 3), jnp.floating),
        'support_foreground': ((n, k, h, w), jnp.floating),
        'support_background': ((n, k, h, w), jnp.floating),
        'query_images': ((q, h, w, 3), jnp.floating),
        'query_labels': ((q, h, w), jnp.integer),
    }
    for name, (shape, kind) in wanted.items():
        value = getattr(episode, name)
        if value.shape != shape:
            raise ValueError(f'{name} must have shape {shape} to fit support_images {images.shape}, got {value.shape}.')
        if not jnp.issubdtype(value.dtype, kind):
            hint = ' (pj.normalize makes images float32)' if name.endswith('images') else ' (use .astype)'
            raise TypeError(f'{name} must be {kind.__name__}, got {value.dtype}{hint}.')
    labels = episode.query_labels
    if not isinstance(labels, jax.core.Tracer):
        wrong = np.asarray(labels)[(np.asarray(labels) > n) & (np.asarray(labels) != IGNORE)]
        if wrong.size:
            raise ValueError(f'query_labels of a {n}-way episode are 0..{n} and {IGNORE}, got {wrong[0]}.')
