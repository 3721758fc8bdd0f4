"""The table of a benchmark in one command: an evaluation for each fold, number of shots, and annotation."""

import itertools
import json
import os
from typing import NamedTuple

from ml_collections import ConfigDict

from panet_jax.disk.experiment import training_recipe
from panet_jax.disk.paths import AnyPath, workdir_path
from panet_jax.disk.workdir import default_workdir, locked, write_json
from panet_jax.errors import InputError
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.evaluation.counting import Evaluator
from panet_jax.evaluation.evaluate import evaluator_of, measure, save_pictures
from panet_jax.evaluation.identity import evaluation_identity
from panet_jax.evaluation.runs import evaluation_draws, evaluation_runs
from panet_jax.networks.initial import InitialNetwork
from panet_jax.results.benchmark_tables import Cells
from panet_jax.results.charts import table_charts
from panet_jax.results.html_report import save_report
from panet_jax.results.names import file_name, network_name
from panet_jax.results.result import EARLIER
from panet_jax.results.table_files import write_table
from panet_jax.results.tables import Row, Table, spread


class Cell(NamedTuple):
    """One cell: the evaluation of a network on one fold.

    Attributes:
        trained: whether the network is that of a checkpoint. Otherwise it is the initial one.
        annotation: annotation of the supports.
        shots: K.
        fold: number of the fold.
        untrained: name of the initial network.
    """

    trained: bool
    annotation: str
    shots: int
    fold: int
    untrained: str = 'untrained'

    @property
    def network(self) -> str:
        """Name of the network."""
        return 'trained' if self.trained else self.untrained

    @property
    def row(self) -> str:
        """Name of its row in the table: all fields but the fold."""
        return f'{self.network}, {self.annotation}, {self.shots}-shot'

    def __str__(self) -> str:
        return f'{self.row}, fold {self.fold}'

    @property
    def file(self) -> str:
        """Name of the files of its results and pictures, without ending."""
        return f'{file_name(self.network)}-{self.annotation}-{self.shots}shot-fold{self.fold}'


def make_table(config: ConfigDict, workdir: str | os.PathLike) -> Table:
    """Evaluates all cells without results, and writes table.md, table.csv, table.json and report.html.

    The files are written after each cell, so an interrupted table continues where it stopped. If a cell cannot be
    evaluated, the table says why.

    Args:
        config: the experiment; each cell has its own fold, shots and annotation.
        workdir: workdir of the table.

    Returns:
        The summary.

    Raises:
        InputError: a setting is wrong, or no cell can be evaluated.
    """
    if config.data.unseen:
        raise InputError('a table runs over the folds; leave out {data.unseen=}, or evaluate without a table.')
    workdir = workdir_path(workdir)
    with locked(workdir):
        cells, done, missing = table_cells(config), {}, {}
        evaluator = evaluator_of(config)
        # Cells that differ in the annotation alone follow each other: they share images, which are encoded once.
        for cell in cells:
            cell_config(config, cell)  # a wrong pattern of checkpoints is an error before the first cell
        for number, cell in enumerate(sorted(cells, key=lambda cell: (cell.trained, cell.shots, cell.fold)), 1):
            print(f'{number}/{len(cells)} {cell}: ', end='', flush=True)
            try:
                done[cell], kept = finish_cell(config, cell, workdir, evaluator)
                text = spread(done[cell]['mean_iou'], done[cell]['mean_iou_std'], done[cell]['runs'])
                print(f'mean-IoU {text}{" (kept)" if kept else ""}', flush=True)
            except InputError as error:
                missing[cell] = str(error)
                print(f'missing, because {error}', flush=True)
            if done:  # if the next cell is interrupted, the files have all results so far
                done = {cell: done[cell] for cell in cells if cell in done}
                state = Cells(config.table.folds, cells, done, missing)
                tables = write_table(state, workdir)
                sheets = [(str(cell), path) for cell in done if (path := _picture(workdir, cell)).exists()]
                title = f'panet_jax: {config.name}'
                save_report(workdir / 'report.html', title, tables, sheets, config, table_charts(state))
        if not done:
            raise InputError(next(iter(missing.values())))
        return tables[0]


def table_cells(config: ConfigDict) -> list[Cell]:
    """The cells of config.table, in the order of the table.

    Args:
        config: the experiment.

    Returns:
        The Cells: those of the initial network first, if they are requested.

    Raises:
        InputError: the initial weights cannot be read.
    """
    trained = [False] * (config.checkpoint == '' or config.evaluation.untrained) + [True] * (config.checkpoint != '')
    table = config.table
    untrained = _untrained(config) if False in trained else ''
    cells = itertools.product(trained, table.annotations, table.shots, table.folds)
    return [Cell(*values, untrained) for values in cells]


def _untrained(config):
    """Name of the initial network."""
    initial = InitialNetwork.of(config.encoder, config.seed)
    weights = initial.origin(initial.load())
    return network_name({'checkpoint_step': 0, 'weights': weights, 'encoder': initial.encoder.name})


def cell_config(config: ConfigDict, cell: Cell) -> ConfigDict:
    """The experiment of one cell.

    Args:
        config: the experiment of the table. Its checkpoint may contain {fold}, {shots} and {ways}, for their numbers.
        cell: the Cell.

    Returns:
        A copy with the fold, shots, annotation and checkpoint of the cell.

    Raises:
        InputError: the checkpoint contains other braces.
    """
    copy = config.copy_and_resolve_references()
    copy.data.fold, copy.episode.shots, copy.evaluation.annotation = cell.fold, cell.shots, cell.annotation
    if not cell.trained:
        copy.checkpoint = ''
        return copy
    try:
        copy.checkpoint = str(config.checkpoint).format(fold=cell.fold, shots=cell.shots, ways=config.episode.ways)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f'checkpoint may hold {{fold}}, {{shots}} and {{ways}}, got {config.checkpoint!r} ({error}).'
        ) from error
    return copy


def finish_cell(config: ConfigDict, cell: Cell, workdir: AnyPath, evaluator: Evaluator) -> tuple[Row, bool]:
    """Evaluates one cell, unless it has results of the same setting and network.

    Args:
        config: the experiment of the table.
        cell: the Cell.
        workdir: workdir of the table.
        evaluator: the Evaluator of earlier cells.

    Returns:
        The results, and whether they are those of an earlier evaluation.

    Raises:
        InputError: the cell cannot be evaluated.
    """
    config = cell_config(config, cell)
    runs = evaluation_runs(config)
    draws = evaluation_draws(config, runs)
    network = network_to_evaluate(config, workdir_path(default_workdir(config)) if cell.trained else workdir)
    path, picture = workdir / 'cells' / f'{cell.file}.json', _picture(workdir, cell)
    network_entries = {
        'checkpoint': network.origin or '',
        'checkpoint_step': network.step,
        'network_hash': network.hash,
    }
    identity = evaluation_identity(config, runs, draws, network)
    entries = json.loads(json.dumps(vars(identity) | network_entries))
    earlier = _read(path)
    has_pictures = picture.exists() or not config.evaluation.pictures
    if has_pictures and all(earlier.get(name) == value for name, value in entries.items()):
        recipe = training_recipe(workdir_path(network.origin)) if network.origin else {}
        return {'training': recipe} | earlier, True
    result, confusions = measure(config, runs, draws, network, evaluator)
    write_json(path, result.row())
    if config.evaluation.pictures:
        save_pictures(config, picture, network, runs[0], draws[0], confusions)
    return result.row(), False


def _picture(workdir, cell):
    return workdir / 'pictures' / f'{cell.file}.png'


def _read(path):
    try:
        return EARLIER | json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # a damaged file is written again
        return {}
