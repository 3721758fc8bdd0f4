"""Checkpoints of the training state, written by Orbax: atomic, only the newest few kept.

The files hold plain arrays, so a training can be resumed on any number of devices and processes. One process reads and
writes them, and sends the state to the others.
"""

import os
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax.training.train_state import TrainState

from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.paths import absolute, in_bucket
from panet_jax.errors import InputError
from panet_jax.method.encoder import Params


class Checkpoints:
    """The checkpoints of one workdir. Parameters and optimizer state are separate items.

    Args:
        workdir: the workdir; its checkpoints are in checkpoints/.
        keep: number of newest checkpoints to keep; None opens them for reading only.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int | None = None):
        self.folder = absolute(workdir) / 'checkpoints'
        process = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=process, active_processes={process}, barrier_sync_key_prefix=f'process_{process}'
        )
        # create=False: reading a workdir must not change it.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=False, enable_async_checkpointing=keep is not None, multiprocessing_options=alone
        )
        if keep and not in_bucket(self.folder):  # a bucket has no folders
            self.folder.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(self.folder, options=options) if keep or self.folder.is_dir() else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wait()
        if self._manager:
            self._manager.close()

    def wait(self) -> None:
        """Waits until all checkpoints are on disk."""
        if self._manager:
            self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        """The steps with a checkpoint, in ascending order."""
        return sorted(self._manager.all_steps()) if self._manager else []

    def save(self, state: TrainState) -> None:
        """Saves a state as step `state.step`, unless that step is saved. Copies it at once, and writes in the background.

        Args:
            state: the state.

        Raises:
            InputError: the disk has too little room.
        """
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
        """Checks the free space, because a failure of Orbax in the background is hard to read."""
        if in_bucket(self.folder):
            return
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves((state.params, state.opt_state)))
        free = shutil.disk_usage(self.folder).free
        if free < 1.1 * needed:
            raise InputError(
                f'no room to save step {step}: {self.folder} needs {gigabytes(needed)}, {gigabytes(free)} are free; make '
                f'room, and the same command resumes from step {max(self.steps(), default=0)}.'
            )

    def restore(self, state: TrainState) -> TrainState:
        """Reads the newest state, bit for bit.

        Args:
            state: a state whose leaves have the same shapes and dtypes.

        Returns:
            The newest state, of numpy arrays.

        Raises:
            InputError: there is no checkpoint, or it is damaged.
        """
        if not self.steps():
            raise InputError(f'there is no checkpoint in {self.folder}.')
        step = self.steps()[-1]
        params, opt_state = jax.tree.map(_empty, (state.params, state.opt_state))
        items = self._read(step, params=params, opt_state=opt_state)
        return state.replace(params=items.params, opt_state=items.opt_state, step=np.asarray(step, np.int32))

    def restore_params(self, step: int, like: Params) -> Params:
        """Reads the parameters of one step, without the optimizer state.

        Args:
            step: step of the checkpoint.
            like: a tree of the same structure whose leaves have a shape and a dtype, such as `Encoder.shapes()`.

        Returns:
            The tree of parameters, of numpy arrays.

        Raises:
            InputError: there is no checkpoint of this step, or it is damaged.
        """
        if step not in self.steps():
            steps = ', '.join(map(str, self.steps())) or 'none'
            raise InputError(f'no checkpoint of step {step} in {self.folder}; steps there: {steps}.')
        return self._read(step, params=jax.tree.map(_empty, like)).params

    def _read(self, step, **like):
        items = {name: ocp.args.StandardRestore(tree) for name, tree in like.items()}
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**items))
        except (KeyError, OSError, ValueError) as error:
            raise InputError(
                f'the checkpoint {self.folder / str(step)} cannot be read ({str(error).strip(chr(39))[:200]}); copy it '
                'again, or remove that folder to resume from the one before.'
            ) from error


def _empty(leaf):
    """An array from which Orbax takes the shape and dtype to restore."""
    return np.empty(leaf.shape, leaf.dtype)
