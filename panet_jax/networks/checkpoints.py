"""The training state on disk, by Orbax: atomic, the newest few kept.

What is written are plain arrays: a run goes on with any number of devices and processes. One process reads
and writes; the others get the state from it.
"""

import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp

from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.paths import absolute, in_bucket
from panet_jax.errors import InputError
from panet_jax.method.vgg16 import encoder_shapes


class Checkpoints:
    """The checkpoints of one workdir. Parameters and optimiser state are separate items.

    Args:
        workdir: their folder is `workdir`/checkpoints.
        keep: how many of the newest to keep.
    """

    def __init__(self, workdir, keep=None):
        self.folder = absolute(workdir) / 'checkpoints'
        # create=False: looking at a workdir must not change it.
        me = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f'process_{me}'
        )
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=False, enable_async_checkpointing=keep is not None, multiprocessing_options=alone
        )
        if keep and not in_bucket(self.folder):  # a bucket has no folders to make
            self.folder.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(self.folder, options=options) if keep or self.folder.is_dir() else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._manager:
            self._manager.wait_until_finished()
            self._manager.close()

    def steps(self):
        """The steps that are there, in order."""
        return sorted(self._manager.all_steps()) if self._manager else []

    def save(self, state):
        """Saves a TrainState as step `state.step`, in the background; the copy is made at once."""
        step = int(state.step)
        if step in self.steps():
            return
        self._check_room(state, step)
        state = jax.tree.map(np.array, state)  # a copy: the next step reuses the memory
        items = ocp.args.Composite(
            params=ocp.args.StandardSave(state.params), opt_state=ocp.args.StandardSave(state.opt_state)
        )
        if not self._manager.save(step, args=items):
            raise RuntimeError(f'checkpoint {step} was not saved: a newer one is in {self.folder}')

    def _check_room(self, state, step):
        """Asks for the room first: Orbax, writing in the background, would end in pages of errors."""
        if in_bucket(self.folder):
            return
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves((state.params, state.opt_state)))
        free = shutil.disk_usage(self.folder).free
        if free < 1.1 * needed:
            raise InputError(
                f'no room to save step {step}: {self.folder} needs {gigabytes(needed)}, {gigabytes(free)} are free; make '
                f'room, and the same command goes on from step {max(self.steps(), default=0)}.'
            )

    def restore(self, state):
        """The newest state, bit for bit, in numpy arrays; `state` itself if there is none.

        Args:
            state: a fresh TrainState.
        """
        if not self.steps():
            return state
        step = self.steps()[-1]
        like = jax.tree.map(_empty, (state.params, state.opt_state))
        items = self._read(step, params=like[0], opt_state=like[1])
        return state.replace(params=items.params, opt_state=items.opt_state, step=np.asarray(step, np.int32))

    def restore_params(self, step, width):
        """The encoder parameters alone, of one step, in numpy arrays."""
        if step not in self.steps():
            there = ', '.join(map(str, self.steps())) or 'none'
            raise InputError(f'no checkpoint of step {step} in {self.folder}; steps there: {there}.')
        return self._read(step, params=jax.tree.map(_empty, encoder_shapes(width))).params

    def _read(self, step, **like):
        items = {name: ocp.args.StandardRestore(tree) for name, tree in like.items()}
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**items))
        except (KeyError, OSError, ValueError) as error:
            raise InputError(
                f'the checkpoint {self.folder / str(step)} cannot be read ({str(error).strip(chr(39))[:200]}); copy it '
                'again, or remove that folder to go on from the one before.'
            ) from error


def _empty(leaf):
    """What tells Orbax to restore a numpy array of this shape."""
    return np.empty(leaf.shape, leaf.dtype)
