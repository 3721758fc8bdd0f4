"""Batches of episodes: the same whatever reads them, and nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from crowded import Crowded, make

from panet_jax.compute.hosts import Share
from panet_jax.episodes import shared_arrays
from panet_jax.episodes.loader import Readers, episode_batches, stack
from panet_jax.errors import InputError


def assert_equal(batch, wanted):
    for a, b in zip(jax.tree.leaves(batch), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ('workers', 'threads'),
    [(0, 0), (0, 1), (0, 16), *(pytest.param(*of, marks=pytest.mark.exhaustive) for of in ((1, 0), (2, 2)))],
)
def test_batches_are_the_same_for_any_readers_and_any_start(workers, threads):
    episodes = make(flip=True)
    for start in (0, 2):
        with episode_batches(episodes, 3, 5, start=start, readers=Readers(threads, workers)) as batches:
            batches = list(batches)
        assert len(batches) == 5 - start
        for step, batch in zip(range(start, 5), batches, strict=True):
            assert_equal(batch, stack([episodes[i] for i in range(3 * step, 3 * step + 3)]))


def test_hosts_share_the_episodes_of_each_step():
    episodes = make(flip=True)
    shares = []
    for host in range(2):
        with episode_batches(episodes, 4, 3, share=Share(host, 2)) as batches:
            shares.append(list(batches))
    for step in range(3):
        for host in range(2):
            assert_equal(shares[host][step], stack([episodes[4 * step + host], episodes[4 * step + host + 2]]))
    with (
        pytest.raises(InputError, match='3 episodes does not divide over 2 hosts'),
        episode_batches(episodes, 3, 1, share=Share(0, 2)),
    ):
        pass


class Broken(Crowded):
    """Raises for one image: a user's mistake, or a defect."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def __getitem__(self, index):
        if index == 7:
            raise self.error
        return super().__getitem__(index)


@pytest.mark.parametrize('workers', [0, 1])
def test_an_error_while_reading_arrives_as_itself(workers):
    mistake, defect = InputError('image 7 is broken'), ZeroDivisionError('a defect')
    with (
        episode_batches(make(Broken(mistake)), 2, 100, readers=Readers(workers=workers)) as batches,
        pytest.raises(InputError, match=r'^image 7 is broken$'),
    ):
        list(batches)
    with (
        episode_batches(make(Broken(defect)), 2, 100, readers=Readers(workers=workers)) as batches,
        pytest.raises(Exception, match='a defect'),
    ):
        list(batches)


ENDLESS = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    sys.path[:0] = [sys.argv[1]]
    from crowded import make
    from panet_jax.episodes.loader import Readers, episode_batches
    if __name__ == '__main__':
        with episode_batches(make(), 2, 10**6, readers=Readers(workers=2)) as batches:
            for step, batch in enumerate(batches):
                if step == 3:
                    print('running', flush=True)
                    if sys.argv[2] == 'leave':
                        sys.stdin.readline()
                        break
"""


WHOLE_AND_LEFT = """
    import sys
    sys.path[:0] = [sys.argv[1]]
    from crowded import make
    from panet_jax.episodes.loader import Readers, episode_batches
    if __name__ == '__main__':
        for steps in (4, 10**6):
            with episode_batches(make(), 2, steps, readers=Readers(2, 2)) as batches:
                print(len([next(batches) for _ in range(4)]))
"""


@pytest.mark.exhaustive
def test_no_shared_memory_is_left_behind(tmp_path):
    script = tmp_path / 'whole_and_left.py'
    script.write_text(textwrap.dedent(WHOLE_AND_LEFT))
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        env=os.environ | {'PYTHONPATH': str(Path(__file__).parents[1])},
    )
    assert (done.returncode, done.stdout) == (0, '4\n4\n'), done.stderr
    assert 'leaked' not in done.stderr


@pytest.mark.skipif(not shared_arrays.FOLDER.is_dir(), reason='/dev/shm is of Linux')
def test_memory_whose_process_was_ended_while_it_made_it_is_removed():
    prefix = shared_arrays.new_prefix()
    shared_arrays.share_array(np.arange(3), prefix)
    (shared_arrays.FOLDER / f'{prefix}empty').touch()  # made, and not yet given a size
    shared_arrays.remove_all(prefix)
    assert not list(shared_arrays.FOLDER.glob(f'{prefix}*'))


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc is of Linux')
def test_a_worker_that_is_killed_ends_the_reading_with_a_sentence():
    with episode_batches(make(), 2, 10**6, readers=Readers(2, 1)) as batches:
        next(batches)
        started = time.monotonic()
        (worker,) = (
            child for child in children(os.getpid()) if b'spawn_main' in Path(f'/proc/{child}/cmdline').read_bytes()
        )
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(InputError, match=r'ended with SIGKILL, .*smaller --config\.loader\.workers='):
            list(batches)
    assert time.monotonic() - started < 30


def children(pid):
    tasks = Path(f'/proc/{pid}/task').glob('*/children')
    return [int(child) for task in tasks for child in task.read_text().split()]


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc, and the signal at the death of a parent, are of Linux')
@pytest.mark.parametrize(
    'end', ['kill', *(pytest.param(end, marks=pytest.mark.exhaustive) for end in ('interrupt', 'leave'))]
)
def test_no_process_outlives_the_run(tmp_path, end):
    script = tmp_path / 'endless.py'
    script.write_text(textwrap.dedent(ENDLESS))
    command = [sys.executable, str(script), str(Path(__file__).parent), end]
    root = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {'PYTHONPATH': root},
    ) as process:
        assert process.stdout.readline() == 'running\n'
        workers = children(process.pid)
        assert len(workers) >= 2
        if end == 'leave':
            process.stdin.write('go\n')
            process.stdin.flush()
        else:
            process.send_signal(signal.SIGKILL if end == 'kill' else signal.SIGINT)
        assert (process.wait(60) == 0) == (end == 'leave')
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [worker for worker in workers if alive(worker)]
