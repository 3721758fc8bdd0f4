"""The whole table of a benchmark in one command: folds x shots x annotations, each cell an evaluation."""

import itertools
import json
from typing import NamedTuple

from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import default_workdir, locked, training_recipe, write_json
from panet_jax.errors import InputError
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.evaluation.evaluate import evaluator_of, measure, save_pictures
from panet_jax.evaluation.identity import evaluation_identity
from panet_jax.evaluation.runs import evaluation_draws, evaluation_runs
from panet_jax.networks.choose import initial_params
from panet_jax.networks.trained import origin
from panet_jax.results.benchmark_tables import Cells
from panet_jax.results.charts import table_charts
from panet_jax.results.html_report import save_report
from panet_jax.results.names import file_name, network_name
from panet_jax.results.result import EARLIER
from panet_jax.results.rows import spread
from panet_jax.results.table_files import write_table


class Cell(NamedTuple):
    """One cell: a network on one fold. Without training that is `untrained`, or what the weights given are called."""

    trained: bool
    annotation: str
    shots: int
    fold: int
    untrained: str = 'untrained'

    @property
    def network(self):
        """What to call the network."""
        return 'trained' if self.trained else self.untrained

    @property
    def row(self):
        """What its row in a table is called: all but the fold."""
        return f'{self.network}, {self.annotation}, {self.shots}-shot'

    def __str__(self):
        return f'{self.row}, fold {self.fold}'

    @property
    def file(self):
        """Of its results and pictures, without ending."""
        return f'{file_name(self.network)}-{self.annotation}-{self.shots}shot-fold{self.fold}'


def make_table(config, workdir):
    """Evaluates all cells that are not there yet, and writes table.md, .csv, .json and report.html.

    A cell that cannot be evaluated is missing, with the reason; the others are kept as they are finished.

    Args:
        config: the experiment; its fold, shots and annotation are those of each cell in turn.
        workdir: of the table.

    Returns:
        The summary, a rows.Table.

    Raises:
        InputError: no cell at all can be evaluated.
    """
    if config.data.unseen:
        raise InputError('a table runs over the folds; leave out {data.unseen=}, or evaluate without a table.')
    workdir = workdir_path(workdir)
    with locked(workdir):
        cells, done, missing = table_cells(config), {}, {}
        evaluator = evaluator_of(config)
        # The kinds of support one after the other: they share their images, which are encoded once.
        for cell in cells:
            cell_config(config, cell)  # a mistake in the pattern of checkpoints shows before the first cell
        for number, cell in enumerate(sorted(cells, key=lambda cell: (cell.trained, cell.shots, cell.fold)), 1):
            print(f'{number}/{len(cells)} {cell}: ', end='', flush=True)
            try:
                done[cell], kept = finish_cell(config, cell, workdir, evaluator)
                text = spread(done[cell]['mean_iou'], done[cell]['mean_iou_std'], done[cell]['runs'])
                print(f'mean-IoU {text}{" (kept)" if kept else ""}', flush=True)
            except InputError as error:
                missing[cell] = str(error)
                print(f'missing, because {error}', flush=True)
            if done:  # whatever comes next, what is there is in the files
                done = {cell: done[cell] for cell in cells if cell in done}
                known = Cells(config.table.folds, cells, done, missing)
                tables = write_table(known, workdir)
                sheets = [(str(cell), path) for cell in done if (path := _picture(workdir, cell)).exists()]
                title = f'panet_jax: {config.name}'
                save_report(workdir / 'report.html', title, tables, sheets, config, table_charts(known))
        if not done:
            raise InputError(next(iter(missing.values())))
        return tables[0]


def table_cells(config):
    """The cells of config.table, in order."""
    trained = [False] * (config.checkpoint == '' or config.evaluation.untrained) + [True] * (config.checkpoint != '')
    table = config.table
    untrained = _untrained(config) if False in trained else ''
    cells = itertools.product(trained, table.annotations, table.shots, table.folds)
    return [Cell(*values, untrained) for values in cells]


def _untrained(config):
    """What the network is called that was not trained here."""
    params = initial_params(config.encoder, config.seed)
    return network_name({'checkpoint_step': 0, 'weights': origin(config, params, ''), 'encoder': config.encoder.name})


def cell_config(config, cell):
    """The experiment of one cell; {fold}, {shots} and {ways} in config.checkpoint are filled in."""
    of_cell = config.copy_and_resolve_references()
    of_cell.data.fold, of_cell.episode.shots, of_cell.evaluation.annotation = cell.fold, cell.shots, cell.annotation
    if not cell.trained:
        of_cell.checkpoint = ''
        return of_cell
    try:
        of_cell.checkpoint = str(config.checkpoint).format(fold=cell.fold, shots=cell.shots, ways=config.episode.ways)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f'checkpoint may hold {{fold}}, {{shots}} and {{ways}}, got {config.checkpoint!r} ({error}).'
        ) from error
    return of_cell


def finish_cell(config, cell, workdir, evaluator):
    """The results of one cell, and whether they were kept from before."""
    config = cell_config(config, cell)
    runs = evaluation_runs(config)
    draws = evaluation_draws(config, runs)
    network = network_to_evaluate(config, default_workdir(config) if cell.trained else workdir)
    path, picture = workdir / 'cells' / f'{cell.file}.json', _picture(workdir, cell)
    checked = {'checkpoint': network.origin or '', 'checkpoint_step': network.step, 'network_hash': network.hash}
    wanted = json.loads(json.dumps(vars(evaluation_identity(config, runs, draws, network)) | checked))
    before = _read(path)
    pictured = picture.exists() or not config.evaluation.pictures
    if pictured and all(before.get(name) == value for name, value in wanted.items()):
        return {'training': training_recipe(network.origin)} | before, True
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
    except (FileNotFoundError, ValueError):  # what is damaged is made again
        return {}
