"""One step of training, pure: the gradient of a batch's mean loss, averaged over devices, and SGD."""

import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict

from panet_jax.compute import devices
from panet_jax.method.encoder import Params
from panet_jax.method.episode import Episode, prepare
from panet_jax.method.panet import encode_episodes, loss_of_features
from panet_jax.networks.encoders import encoder_of


def train_step(
    state: TrainState,
    episodes: Episode,
    *,
    align_weight: float,
    encode: Callable = encode_episodes,
    accumulate: int = 1,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step of SGD on the mean of L_seg + align_weight * L_PAR, eq. (8), of a batch; inside `devices.parallel`.

    Args:
        state: the same on every device.
        episodes: compact Episode [B, ...], this device's share of the batch.
        align_weight: weight of the alignment loss.
        encode: (params, prepared episodes) -> features of supports and queries: `encode_episodes`, with its options
            bound for another encoder or another dtype.
        accumulate: number of equal parts of the share, computed one after the other: the same step in less memory.

    Returns:
        The next state, and {'loss', 'segmentation', 'alignment'} averaged over all episodes, and the 'gradient_norm'
        before clipping, each [] float32.

    Raises:
        ValueError: the episodes are no batch, or do not divide into `accumulate` parts.
    """
    _check_batch(episodes, accumulate)

    def mean_loss(params, part):
        part = jax.vmap(prepare)(part)
        losses, terms = jax.vmap(functools.partial(loss_of_features, align_weight=align_weight))(
            *encode(params, part), part
        )
        return losses.mean(), {'loss': losses.mean()} | jax.tree.map(lambda term: term.mean(), terms)

    means = _mean_over_parts(jax.grad(mean_loss, has_aux=True), state.params, episodes, accumulate)
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


def schedule_of(config: ConfigDict) -> optax.Schedule:
    """The learning rate by step, of a configuration."""
    settings = config.optimizer
    if settings.schedule == 'cosine':
        schedule = optax.cosine_decay_schedule(settings.learning_rate, config.steps)
    else:
        schedule = learning_rate_schedule(settings.learning_rate, settings.milestones, settings.decay)
    if not settings.warmup:
        return schedule
    return lambda step: schedule(step) * jnp.minimum(1.0, (jnp.asarray(step, jnp.float32) + 1) / settings.warmup)


def optimizer_of(config: ConfigDict) -> optax.GradientTransformation:
    """The optimizer of a configuration, which changes what `encoder.frozen` leaves to it."""
    settings = config.optimizer
    return make_optimizer(
        schedule_of(config),
        name=settings.name,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        trained=encoder_of(config.encoder).trained(config.encoder.frozen),
    )


def learning_rate_schedule(learning_rate: float, milestones: Iterable[int], decay: float) -> optax.Schedule:
    """The learning rate by step; it is multiplied by `decay` at each milestone (a number of steps)."""
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
    """SGD in torch's form, in which weight decay is added to the gradient before the momentum; or AdamW.

    Args:
        schedule: learning rate by step.
        momentum: of SGD; AdamW has its own.
        weight_decay: as in torch.optim.SGD or torch.optim.AdamW.
        clip_norm: bound of the gradient's global norm; 0 is none.
        name: 'sgd' or 'adamw'.
        trained: a tree of bool like the parameters: what is changed. None is everything.
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
    """A TrainState at step 0, whose step is an array from the start (an int would compile twice)."""
    state = TrainState.create(apply_fn=None, params=params, tx=optimizer)
    return state.replace(step=jnp.zeros((), jnp.int32))
