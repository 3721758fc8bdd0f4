"""Training: the recipe, several devices, exact resumption, and how a run ends."""

import functools
import os
import re
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from random_episodes import random_episode
from tiny import tiny_config

import panet_jax as pj
from panet_jax.compute import devices, python_loops
from panet_jax.compute.interrupts import Interrupted
from panet_jax.config import base_config
from panet_jax.disk.workdir import append_json_line, locked, read_json_lines
from panet_jax.episodes.assembly import Episodes
from panet_jax.method.panet import encode_episodes
from panet_jax.method.vgg16 import encoder_shapes
from panet_jax.networks.checkpoints import Checkpoints
from panet_jax.networks.encoders import encoder_named
from panet_jax.training.episodes import training_episodes
from panet_jax.training.step import (
    create_state,
    encode_image,
    gradient_of_mean,
    learning_rate_schedule,
    loop_outside_xla,
    loss_of_images,
    make_optimizer,
    train_step,
    update,
)
from panet_jax.training.train import train

VGG16 = encoder_named('vgg16', 1 / 32)


def compact_batch(size, episodes=4):
    batch = []
    for seed in range(episodes):
        rng = np.random.default_rng(seed)
        episode = random_episode(rng, size=size)
        images = [rng.integers(0, 256, x.shape, dtype=np.uint8) for x in (episode.support_images, episode.query_images)]
        batch.append(
            pj.Episode(
                support_images=images[0],
                support_foreground=episode.support_foreground > 0,
                support_background=episode.support_background > 0,
                query_images=images[1],
                query_labels=episode.query_labels.astype(np.uint8),
            )
        )
    return jax.tree.map(lambda *x: np.stack(x), *batch)


def make_step(count, traces=None, rematerialize=False, encoder=VGG16, **options):
    """A training step on `count` devices, and a state that is on them."""
    encode = functools.partial(encode_episodes, encode=encoder.encode, rematerialize=rematerialize)
    used = jax.local_devices()[:count]
    optimizer = make_optimizer(optax.constant_schedule(0.01), momentum=0.9, weight_decay=5e-4)

    def step(state, episodes):
        if traces is not None:
            traces.append(1)
        return train_step(state, episodes, align_weight=1.0, encode=encode, **options)

    state = create_state(encoder.initial(jax.random.key(0)), optimizer)
    return devices.parallel(step, used), devices.replicate(state, used), used


def run_steps(count, batch, steps=4, **options):
    """`steps` steps on `count` devices; parameters, metrics and how often the step was traced."""
    traces = []
    function, state, used = make_step(count, traces, **options)
    turned = [jax.tree.map(functools.partial(np.roll, shift=step, axis=0), batch) for step in range(steps)]
    for placed, wanted in zip(devices.prefetched(iter(turned), used), turned, strict=True):
        jax.tree.map(np.testing.assert_array_equal, devices.join(placed), wanted)
        state, metrics = function(state, placed)
    assert int(state.step) == steps
    return jax.device_get(state.params), jax.device_get(metrics), len(traces)


def test_two_devices_equal_one_and_the_step_is_traced_once():
    batch = compact_batch(17)
    one, metrics_of_one, traces_of_one = run_steps(1, batch)
    two, metrics_of_two, traces_of_two = run_steps(2, batch)
    assert traces_of_one == traces_of_two == 1
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), two, one)
    for name, value in metrics_of_one.items():
        np.testing.assert_allclose(metrics_of_two[name], value, rtol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ('name', 'width', 'size'), [('resnet-tiny', 1 / 16, 17), ('dinov2-tiny', 1, 28), ('dinov3-tiny', 1, 32)]
)
def test_two_devices_equal_one_for_other_encoders(name, width, size):
    encoder, batch = encoder_named(name, width), compact_batch(size)
    (one, metrics_of_one, _), (two, metrics_of_two, _) = (
        run_steps(count, batch, steps=2, encoder=encoder) for count in (1, 2)
    )
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), two, one)
    for measure, value in metrics_of_one.items():
        np.testing.assert_allclose(metrics_of_two[measure], value, rtol=1e-5)


@pytest.mark.parametrize('count', [1, pytest.param(2, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize('loop', ['episodes', pytest.param('images', marks=pytest.mark.exhaustive)])
def test_a_loop_outside_xla_makes_the_step_of_the_batch(loop, count):
    """As compiled for CPUs."""
    batch = compact_batch(17)
    function, state, used = make_step(count)
    step = {
        'episodes': lambda: python_loops.episode_by_episode(
            functools.partial(gradient_of_mean, align_weight=1.0), update, used
        ),
        'images': lambda: python_loops.image_by_image(
            functools.partial(encode_image, encode=VGG16.encode),
            functools.partial(loss_of_images, align_weight=1.0),
            sum(np.prod(images.shape[1:-3]) for images in (batch.support_images, batch.query_images)),
            update,
            used,
        ),
    }[loop]()
    placed = devices.split(batch, used)
    expected, metrics = function(jax.tree.map(jnp.copy, state), placed)
    actual, actual_metrics = step(state, placed)
    assert actual.step == 1
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), actual.params, expected.params)
    for name, value in metrics.items():
        np.testing.assert_allclose(actual_metrics[name], value, rtol=1e-5)


@pytest.mark.parametrize(
    ('changes', 'loop'),
    [
        ({}, None),
        ({'data.size': 417}, None),
        ({'encoder.rematerialize': True}, 'images'),
        ({'batch': 4, 'data.size': 417}, 'episodes'),
        ({'batch': 4, 'accumulate': 2}, 'episodes'),
        ({'batch': 4}, None),
    ],
    ids=str,
)
def test_a_cpu_loops_outside_xla_where_that_saves_memory(changes, loop):
    config = base_config('benchmark')
    config.data.size = 97
    config.update_from_flattened_dict(changes)
    assert loop_outside_xla(config, jax.local_devices()[:1]) == loop


def test_devices_are_used_as_far_as_they_divide_the_batch():
    assert len(jax.local_devices()) >= 2
    assert len(devices.usable_devices(1)) == 1
    assert len(devices.usable_devices(4)) == 2
    assert 'on 1 of 2' in devices.banner(3, devices.usable_devices(3), 'episode(s)')


@pytest.mark.parametrize(('batch', 'used'), [(6, 6), (8, 8), (7, 7), (12, 6), (9, 3), (11, 1), (1, 1)])
def test_the_largest_divisor_of_the_batch_says_how_many_devices_are_used(batch, used):
    assert devices.usable_devices(batch, list(range(8))) == list(range(used))


def test_gradients_and_metrics_of_a_step_are_reduced_at_once_and_the_state_is_reused():
    function, state, used = make_step(2)
    batch = devices.split(compact_batch(17), used)
    program = function.lower(state, batch).compile().as_text()
    assert len(re.findall(r' all-reduce(?:-start)?\(', program)) == 1
    before = jax.tree.leaves(state.params)
    function(state, batch)
    assert all(leaf.is_deleted() for leaf in before)


def temporary_bytes(**options):
    function, state, used = make_step(1, **options)
    program = function.lower(state, devices.split(compact_batch(65), used)).compile()
    return program.memory_analysis().temp_size_in_bytes


@pytest.fixture(scope='module')
def plain_steps():
    return *run_steps(1, compact_batch(65))[:2], temporary_bytes()


@pytest.mark.exhaustive
@pytest.mark.parametrize('options', [{'accumulate': 4}, {'rematerialize': True}], ids=str)
def test_what_saves_memory_saves_it_and_changes_no_step(plain_steps, options):
    params, metrics, memory = plain_steps
    saving, metrics_saving, _ = run_steps(1, compact_batch(65), **options)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), saving, params)
    for name, value in metrics.items():
        np.testing.assert_allclose(metrics_saving[name], value, rtol=1e-4)
    assert temporary_bytes(**options) < 0.8 * memory


def test_a_batch_that_does_not_divide_into_parts_is_refused():
    with pytest.raises(pj.InputError, match=r'accumulate must divide the 2 episode\(s\) that each of 2 device'):
        devices.training_devices(4, accumulate=3)


def test_a_step_names_what_is_no_batch():
    _, state, _ = make_step(1)
    one = jax.tree.map(lambda x: x[0], compact_batch(17))
    with pytest.raises(
        ValueError, match=r'episodes must be a batch, with support_images \[B, N, K, H, W, 3\], got shape'
    ):
        train_step(state, one, align_weight=1.0)
    with pytest.raises(ValueError, match=r'accumulate must divide the 4 episodes of a device, got 3'):
        train_step(state, compact_batch(17), align_weight=1.0, accumulate=3)


@pytest.mark.parametrize('clip_norm', [0.0, 0.5])
def test_optimizer_is_torchs_sgd(clip_norm):
    """v = 0.9 v + (g + 5e-4 p), p = p - lr v, with lr * 0.1 from the milestone on."""
    schedule = learning_rate_schedule(0.1, (2,), 0.1)
    optimizer = make_optimizer(schedule, momentum=0.9, weight_decay=5e-4, clip_norm=clip_norm)
    params, velocity, expected = jnp.array([1.0, -2.0]), np.zeros(2), np.array([1.0, -2.0])
    state = optimizer.init(params)
    for step in range(4):
        gradient = np.array([0.3 * step + 1, -1.0])
        updates, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, params)
        params = optax.apply_updates(params, updates)
        norm = np.linalg.norm(gradient)
        clipped = gradient * min(1, clip_norm / norm) if clip_norm else gradient
        velocity = 0.9 * velocity + clipped + 5e-4 * expected
        expected = expected - (0.1 if step < 2 else 0.01) * velocity
        np.testing.assert_allclose(params, expected, rtol=1e-5)


def trained(workdir):
    return pj.load_encoder_params(workdir)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('whole')
    train(tiny_config(), workdir)
    return workdir


def assert_same_params(one, two):
    jax.tree.map(np.testing.assert_array_equal, trained(one), trained(two))


def test_training_in_two_halves_is_training_bit_for_bit(uninterrupted, tmp_path):
    train(tiny_config(steps=3), tmp_path)
    half = trained(tmp_path)
    train(tiny_config(steps=6), tmp_path)
    assert_same_params(uninterrupted, tmp_path)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), half, trained(tmp_path))
    assert changed['conv5_3']['kernel']


def test_metrics_are_logged_once_per_step_and_across_a_crash(uninterrupted, tmp_path):
    lines = read_json_lines(uninterrupted / 'metrics.jsonl')
    assert [line['step'] for line in lines] == [2, 3, 4, 6]
    for line in lines:
        np.testing.assert_allclose(line['loss'], line['segmentation'] + line['alignment'], rtol=1e-4)
        assert line['gradient_norm'] > 0
        assert line['learning_rate'] == pytest.approx(0.02)
        assert line['episodes_per_second'] > 0
    # A run that died after its checkpoint at 3 had written step 4 already, and half of a line.
    train(tiny_config(steps=3), tmp_path)
    append_json_line(tmp_path / 'metrics.jsonl', {'step': 4, 'loss': 9.0})
    with (tmp_path / 'metrics.jsonl').open('a') as file:
        file.write('{"step": 5, "lo')
    train(tiny_config(), tmp_path)
    resumed = read_json_lines(tmp_path / 'metrics.jsonl')
    assert [line['step'] for line in resumed] == [2, 3, 4, 6]
    assert [line['loss'] for line in resumed] == [line['loss'] for line in lines]


def send(number, after, times=1):
    """What sends this process a signal after a step."""

    def after_step(step):
        if step == after:
            for _ in range(times):
                os.kill(os.getpid(), number)

    return after_step


OTHER_SIGNALS = [
    pytest.param(number, marks=pytest.mark.exhaustive) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
]


@pytest.mark.parametrize('number', [signal.SIGTERM, *OTHER_SIGNALS])
def test_a_signal_saves_and_the_same_command_goes_on(uninterrupted, tmp_path, number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=number.name) as interrupted:
        train(tiny_config(), tmp_path, after_step=send(number, after=2))
    assert interrupted.value.number == number
    assert signal.getsignal(number) is before
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2]
    train(tiny_config(), tmp_path)
    assert_same_params(uninterrupted, tmp_path)


def test_a_signal_in_the_last_step_ends_the_run_too(tmp_path):
    with pytest.raises(Interrupted, match='step 1 is saved'):
        train(tiny_config(steps=1), tmp_path, after_step=send(signal.SIGTERM, after=1))


def test_a_terminal_that_closes_does_not_cut_off_the_end(tmp_path):
    """It sends SIGHUP more than once."""
    with pytest.raises(Interrupted, match='stopped by SIGHUP; step 1 is saved'):
        train(tiny_config(), tmp_path, after_step=send(signal.SIGHUP, after=1, times=2))


@pytest.mark.parametrize(('minutes', 'saved'), [(10.0, [3, 6]), (0.0, [6])])
def test_a_checkpoint_is_due_by_time_too(tmp_path, minutes, saved):
    config = tiny_config(checkpoint_every=100, checkpoint_minutes=minutes, checkpoints_kept=9, steps=6)
    steps = [0]
    train(config, tmp_path, after_step=steps.append, now=lambda: 200 * steps[-1])
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == saved


class Unreadable(Episodes):
    """Episodes that can be read until step 5 of a batch of 2."""

    def __getitem__(self, index):
        if index == 8:
            raise MemoryError
        return super().__getitem__(index)


def test_what_cannot_be_read_loses_no_step(uninterrupted, tmp_path):
    """As when a process of the loader is killed, or the memory does not suffice."""
    config = tiny_config(checkpoint_every=100)
    episodes = training_episodes(config)
    failing = Unreadable(episodes.source, episodes.draws, size=episodes.size, reader=episodes.reader)
    with pytest.raises(MemoryError):
        train(config, tmp_path, episodes=failing)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2]  # two batches were on their way
    train(config, tmp_path)
    assert_same_params(uninterrupted, tmp_path)


def test_a_workdir_takes_one_training_at_a_time(tmp_path):
    with locked(tmp_path), pytest.raises(pj.InputError, match='another run is working'):
        train(tiny_config(), tmp_path)


def test_a_line_that_was_cut_off_swallows_no_other(tmp_path):
    path = tmp_path / 'lines.jsonl'
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    append_json_line(path, {'step': 3})
    assert read_json_lines(path) == [{'step': 1}, {'step': 3}]


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    train(tiny_config(checkpoint_every=1, steps=4), tmp_path)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [3, 4]
        with pytest.raises(pj.InputError, match=r'no checkpoint of step 1 .*steps there: 3, 4'):
            checkpoints.restore_params(1, encoder_shapes(1 / 32))


def test_no_room_for_a_checkpoint_is_one_sentence(tmp_path):
    state = create_state({'kernel': np.broadcast_to(np.float32(0), (10**15,))}, optax.identity())
    with (
        Checkpoints(tmp_path, keep=1) as checkpoints,
        pytest.raises(pj.InputError, match=r'no room to save step 0: .*the same command resumes from step 0'),
    ):
        checkpoints.save(state)


def test_an_incomplete_checkpoint_is_named(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / 'copy')
    for path in (tmp_path / 'copy/checkpoints/6').iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(pj.InputError, match=r'checkpoints/6 cannot be read .*remove that folder'):
        train(tiny_config(steps=8), tmp_path / 'copy')


def test_a_non_finite_loss_stops_the_run_and_names_the_step(tmp_path):
    config = tiny_config(**{'optimizer.learning_rate': 1e9, 'optimizer.clip_norm': 0.0, 'log_every': 6})
    with pytest.raises(pj.InputError, match=r'became non-finite at step 2; the last good checkpoint is none'):
        train(config, tmp_path)
    assert not list((tmp_path / 'checkpoints').glob('*'))


def test_a_workdir_holds_one_experiment(uninterrupted, tmp_path):
    with pytest.raises(pj.InputError, match=r'holds another experiment: .*data.fold is 0 there and 1 here'):
        train(tiny_config(**{'data.fold': 1}), uninterrupted)
    before = (uninterrupted / 'config.json').read_text()
    with pytest.raises(pj.InputError, match=r'already at step 6, beyond --config.steps=4'):
        train(tiny_config(steps=4), uninterrupted)
    assert (uninterrupted / 'config.json').read_text() == before


def test_training_sees_seen_classes_only():
    episodes = training_episodes(tiny_config(**{'data.fold': 2}))
    assert set(episodes.classes.tolist()) == set(range(1, 21)) - {11, 12, 13, 14, 15}
    assert episodes.draws.flip


def test_shapes_trains_on_no_image_that_shows_an_unseen_class():
    episodes = training_episodes(tiny_config(**{'data.fold': 2}))
    drawn = np.unique(np.concatenate(list(episodes.images.values())))
    assert len(drawn) > 1000
    assert not episodes.source.presence[drawn, 10:15].any()


@pytest.mark.exhaustive
def test_supports_may_be_annotated_weakly(tmp_path):
    losses = {}
    for annotation in ('dense', 'scribble', 'box'):
        train(tiny_config(annotation=annotation), tmp_path / annotation)
        losses[annotation] = read_json_lines(tmp_path / annotation / 'metrics.jsonl')[-1]['loss']
    assert len(set(losses.values())) == 3
    assert np.isfinite(list(losses.values())).all()
