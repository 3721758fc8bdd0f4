"""One step of training, pure: the gradient of the mean loss of a batch, averaged over devices, and the optimizer.

The schedule of learning rates is here too.
"""

import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict

from panet_jax.compute import devices, python_loops
from panet_jax.method.encoder import Encode, Encoder, Params
from panet_jax.method.episode import Episode, normalize, prepare
from panet_jax.method.panet import encode_episodes, loss_of_features

# Side in pixels of images from which a CPU takes the episodes of a batch one by one. A whole batch needs the memory of all
# episodes. With four episodes on two cores it saved 3 % of the time at 417 pixels, 5 % at 209, and 14 % at 97.
LARGE_IMAGE = 321


def train_step(
    state: TrainState,
    episodes: Episode,
    *,
    align_weight: float,
    encode: Callable = encode_episodes,
    accumulate: int = 1,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step of SGD on the mean over a batch of L_seg + align_weight * L_PAR, eq. (8); for `devices.parallel`.

    Args:
        state: the state, the same on every device.
        episodes: compact Episode [B, ...], the share of this device.
        align_weight: weight of the alignment loss.
        encode: (params, prepared episodes) -> features of supports and queries; by default `encode_episodes`, with VGG-16
            in float32.
        accumulate: number of equal parts of the share, computed one after the other; the step is the same, but takes
            less memory.

    Returns:
        The next state, and {'loss', 'segmentation', 'alignment'} averaged over all episodes, and the 'gradient_norm'
        before clipping, each [] float32.

    Raises:
        ValueError: the episodes are no batch, or `accumulate` does not divide their number.
    """
    _check_batch(episodes, accumulate)
    function = functools.partial(gradient_of_mean, align_weight=align_weight, encode=encode)
    return update(state, _mean_over_parts(function, state.params, episodes, accumulate))


def gradient_of_mean(
    params: Params, episodes: Episode, *, align_weight: float, encode: Callable = encode_episodes
) -> tuple[Params, dict[str, jax.Array]]:
    """The gradient of the mean over a batch of L_seg + align_weight * L_PAR, eq. (8).

    Args:
        params: parameters of the encoder.
        episodes: compact Episode [B, ...].
        align_weight: weight of the alignment loss.
        encode: as for `train_step`.

    Returns:
        The gradient, a tree like the parameters, and {'loss', 'segmentation', 'alignment'}, means [] float32.
    """

    def mean_loss(params):
        prepared = jax.vmap(prepare)(episodes)
        losses, terms = jax.vmap(functools.partial(loss_of_features, align_weight=align_weight))(
            *encode(params, prepared), prepared
        )
        return losses.mean(), {'loss': losses.mean()} | jax.tree.map(lambda term: term.mean(), terms)

    return jax.grad(mean_loss, has_aux=True)(params)


def encode_image(params: Params, episodes: Episode, number: int | jax.Array, *, encode: Encode) -> jax.Array:
    """Features of one image of an episode.

    Args:
        params: parameters of the encoder.
        episodes: compact Episode [1, ...], a batch of one.
        number: number of the image from 0: the supports of the first way, of the next, then the queries.
        encode: (params, images [H, W, 3] float32 normalized) -> features, such as `Encoder.encode`.

    Returns:
        [h, w, C] float32.
    """
    supports = episodes.support_images.reshape(-1, *episodes.support_images.shape[-3:])
    images = jnp.concatenate([supports, episodes.query_images[0]])
    return encode(params, normalize(jax.lax.dynamic_index_in_dim(images, number, keepdims=False)))


def loss_of_images(
    features: list[jax.Array], episodes: Episode, *, align_weight: float
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """L_seg + align_weight * L_PAR, eq. (8), of one episode, from the features of its images.

    Args:
        features: [h, w, C] float32 of each image, in the order of `encode_image`.
        episodes: compact Episode [1, ...], a batch of one.
        align_weight: weight of the alignment loss.

    Returns:
        The loss, and {'loss', 'segmentation', 'alignment'}, each [] float32.
    """
    episode = jax.tree.map(lambda x: x[0], prepare(episodes))
    n, k = episode.support_images.shape[:2]
    supports, queries = jnp.stack(features[: n * k]), jnp.stack(features[n * k :])
    loss, terms = loss_of_features(supports.reshape(n, k, *supports.shape[1:]), queries, episode, align_weight)
    return loss, {'loss': loss} | terms


def update(state: TrainState, means: tuple[Params, dict[str, jax.Array]]) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step of the optimizer, after the mean over devices; inside a parallel function.

    Args:
        state: the state, the same on every device.
        means: gradient and metrics of this device's share, as from `gradient_of_mean`.

    Returns:
        As in `train_step`.
    """
    gradients, metrics = devices.mean_over_devices(means)
    metrics['gradient_norm'] = optax.tree.norm(gradients)
    return state.apply_gradients(grads=gradients), metrics


def _check_batch(episodes, accumulate):
    shape = episodes.support_images.shape
    if len(shape) != 6:
        raise ValueError(f'episodes must be a batch, with support_images [B, N, K, H, W, 3], got shape {shape}.')
    if shape[0] % accumulate:
        raise ValueError(f'accumulate must divide the {shape[0]} episodes of a device, got {accumulate}.')


def _mean_over_parts(function, params, episodes, count):
    """The mean of function(params, part) over `count` equal parts of a batch; one part at a time is in memory."""
    if count == 1:
        return function(params, episodes)
    parts = jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), episodes)
    shapes = jax.eval_shape(function, params, jax.tree.map(lambda x: x[0], parts))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(sums, part):
        return jax.tree.map(jnp.add, sums, function(params, part)), None

    sums, _ = jax.lax.scan(add, zeros, parts)
    return jax.tree.map(lambda x: x / count, sums)


def loop_outside_xla(config: ConfigDict, used: list[jax.Device]) -> str | None:
    """What each device takes one after the other in a loop in Python, which saves memory on a CPU.

    Args:
        config: the experiment.
        used: devices that share a batch.

    Returns:
        'images' on a CPU with `rematerialize`; 'episodes' of a device's share on a CPU if `accumulate` asks for parts, or if
        images are large; otherwise None.
    """
    if used[0].platform != 'cpu':
        return None
    if config.encoder.rematerialize:
        return 'images'
    several = config.batch > len(used) and (config.accumulate > 1 or config.data.size >= LARGE_IMAGE)
    return 'episodes' if several else None


def compiled_step(config: ConfigDict, encoder: Encoder, used: list[jax.Device]) -> Callable:
    """Compiles the training step of a configuration, `train_step` in parallel, or the same with a loop outside XLA.

    Args:
        config: the experiment.
        encoder: the encoder to train.
        used: devices that share a batch.

    Returns:
        A function as from `devices.parallel`.
    """
    encode = functools.partial(encoder.encode_frozen, frozen=config.encoder.frozen)
    loop = loop_outside_xla(config, used)
    if loop == 'images':
        return python_loops.image_by_image(
            functools.partial(encode_image, encode=functools.partial(encode, dtype=config.encoder.dtype)),
            functools.partial(loss_of_images, align_weight=config.align_weight),
            config.episode.ways * config.episode.shots + config.episode.queries,
            update,
            used,
        )
    encode = functools.partial(
        encode_episodes, encode=encode, dtype=config.encoder.dtype, rematerialize=config.encoder.rematerialize
    )
    options = {'align_weight': config.align_weight, 'encode': encode}
    if loop == 'episodes':
        return python_loops.episode_by_episode(functools.partial(gradient_of_mean, **options), update, used)
    return devices.parallel(functools.partial(train_step, accumulate=config.accumulate, **options), used)


def schedule_of(config: ConfigDict) -> optax.Schedule:
    """The learning rates of a configuration.

    Args:
        config: the experiment.

    Returns:
        A function from the step, from 0, to the learning rate.
    """
    settings = config.optimizer
    if settings.schedule == 'cosine':
        schedule = optax.cosine_decay_schedule(settings.learning_rate, config.steps)
    else:
        schedule = learning_rate_schedule(settings.learning_rate, settings.milestones, settings.decay)
    if not settings.warmup:
        return schedule
    return lambda step: schedule(step) * jnp.minimum(1.0, (jnp.asarray(step, jnp.float32) + 1) / settings.warmup)


def optimizer_of(config: ConfigDict, schedule: optax.Schedule, trained: Params) -> optax.GradientTransformation:
    """The optimizer of a configuration.

    Args:
        config: the experiment.
        schedule: its learning rates, as from `schedule_of`.
        trained: a tree of bool like the parameters, True for those to change.

    Returns:
        The optimizer, as from `make_optimizer`.
    """
    settings = config.optimizer
    return make_optimizer(
        schedule,
        name=settings.name,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        trained=trained,
    )


def learning_rate_schedule(learning_rate: float, milestones: Iterable[int], decay: float) -> optax.Schedule:
    """A piecewise constant learning rate.

    Args:
        learning_rate: its first value.
        milestones: steps at which it is multiplied by `decay`.
        decay: the factor.

    Returns:
        A function from the step, from 0, to the learning rate.
    """
    return optax.piecewise_constant_schedule(learning_rate, {int(step): decay for step in milestones})


def make_optimizer(
    schedule: optax.Schedule,
    *,
    momentum: float,
    weight_decay: float,
    clip_norm: float = 0.0,
    name: str = 'sgd',
    trained: Params | None = None,
) -> optax.GradientTransformation:
    """SGD as in PyTorch, which adds weight decay to the gradient before the momentum; or AdamW.

    Args:
        schedule: learning rate by step.
        momentum: momentum of SGD; AdamW ignores it.
        weight_decay: as in torch.optim.SGD or torch.optim.AdamW.
        clip_norm: bound of the gradient's global norm; 0 is none.
        name: 'sgd' or 'adamw'.
        trained: a tree of bool like the parameters, True for those to change. None is all.

    Returns:
        The optimizer.
    """
    clip = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    if name == 'adamw':
        rule = [optax.adamw(schedule, weight_decay=weight_decay)]
    else:
        rule = [optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=momentum)]
    optimizer = optax.chain(*clip, *rule)
    if trained is None or all(jax.tree.leaves(trained)):
        return optimizer
    labels = jax.tree.map(lambda is_trained: 'trained' if is_trained else 'frozen', trained)
    return optax.partition({'trained': optimizer, 'frozen': optax.set_to_zero()}, labels)


def create_state(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """The initial state of a training.

    Args:
        params: initial parameters.
        optimizer: the optimizer.

    Returns:
        A TrainState at step 0. The step is an array: an int would make the first steps compile twice.
    """
    state = TrainState.create(apply_fn=None, params=params, tx=optimizer)
    return state.replace(step=jnp.zeros((), jnp.int32))
