"""The dependence of a training on its seed: mean, standard deviation and range over several training seeds.

    python benchmarks/seeds.py --config=configs/shapes.py [--seeds=1,2,3,4,5] [--config.NAME=VALUE ...]
        [--workdir=runs/NAME-...-seeds]

Each seed has other initial weights and training episodes. The evaluation is the same for all: the untrained and the trained
network on the unseen classes, with the seed --config.evaluation.seed. Each training has a workdir of its own, `seed-1` and so
on. The same command resumes: a training continues from its newest checkpoint, and finished ones are not repeated. Prints a
table; `seeds.json` has all results.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import jax
import numpy as np

from panet_jax import main as program
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.messages import show_messages
from panet_jax.compute.compilation_cache import keep_compiled
from panet_jax.compute.interrupts import heed_signals
from panet_jax.config import check_config
from panet_jax.disk.workdir import default_workdir, write_json
from panet_jax.errors import InputError
from panet_jax.evaluation.evaluate import evaluate
from panet_jax.evaluation.runs import evaluation_runs
from panet_jax.results.tables import Table, format_table, heading, percent, spread_meaning
from panet_jax.training.train import train

NETWORKS = ('untrained', 'trained')
MEASURES = ('mean_iou', 'binary_iou')
SUMMARIES = {'mean': np.mean, 'std': lambda values: np.std(values, ddof=1), 'min': np.min, 'max': np.max}


def with_seed(config, seed, checkpoint='latest'):
    """The configuration with another training seed, and the checkpoint to evaluate."""
    changed = config.copy_and_resolve_references()
    changed.seed, changed.checkpoint = seed, checkpoint
    return changed


def results_of_seed(config, workdir):
    """Trains and evaluates, or reads finished results: {'untrained': results, 'trained': results}."""
    path, settings = workdir / 'seed.json', json.loads(config.to_json())
    if path.exists():
        finished = json.loads(path.read_text())
        if finished['config'] == settings:
            return {name: finished[name] for name in NETWORKS}
    train(config, workdir)
    results = {
        'untrained': evaluate(with_seed(config, config.seed, checkpoint=''), workdir),
        'trained': evaluate(config, workdir),
    }
    write_json(path, {'config': settings, **results})
    return results


def summary(results):
    """{'untrained': {'mean_iou': {'mean', 'std', 'min', 'max'}, 'binary_iou': ...}, 'trained': ...} over the seeds."""
    return {
        network: {
            measure: {
                name: float(reduce([of_seed[network][measure] for of_seed in results.values()]))
                for name, reduce in SUMMARIES.items()
                if name != 'std' or len(results) > 1
            }
            for measure in MEASURES
        }
        for network in NETWORKS
    }


def seeds_table(results):
    """A Table with a row for each seed and for each summary: IoU in percent."""
    columns = [(network, measure) for network in NETWORKS for measure in MEASURES]
    rows = [[f'seed {seed}', *(percent(of_seed[n][m]) for n, m in columns)] for seed, of_seed in results.items()]
    statistics = summary(results)
    for name in statistics['trained']['mean_iou']:
        rows.append([name, *(percent(statistics[n][m][name]) for n, m in columns)])
    labels = [f'{network} {measure.replace("_iou", "-IoU")}' for network, measure in columns]
    first = next(iter(results.values()))['trained']
    return Table(heading(first).removesuffix(spread_meaning(first)), ['training', *labels], rows, [])


def parse_seeds(text):
    """The training seeds as numbers, each once."""
    words = text.split(',')
    if not all(word.strip().isdigit() for word in words):
        raise InputError(f'--seeds must be whole numbers such as --seeds=1,2,3, got {text!r}.')
    return list(dict.fromkeys(int(word) for word in words))


def run(config, seeds, folder):
    """Runs all seeds, and writes seeds.json after each one."""
    results = {}
    for seed in seeds:
        print(f'training seed {seed}, workdir {folder}/seed-{seed}', flush=True)
        results[seed] = results_of_seed(with_seed(config, seed), folder / f'seed-{seed}')
        versions = {'python': platform.python_version(), 'jax': jax.__version__, 'machine': platform.machine()}
        content = {'versions': versions, 'summary': summary(results), 'results': results}
        write_json(folder / 'seeds.json', content)
    print(format_table(seeds_table(results)))
    print(f'all of it is in {folder}/seeds.json')


def parse(words):
    """Reads the options of the main program and --seeds: (options, configuration, seeds)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', default='1,2,3,4,5', help='training seeds: whole numbers with commas between them')
    own, others = parser.parse_known_args(words)
    return *program.parse(others), parse_seeds(own.seeds)


def main():
    """Runs the seeds. A mistake of the user is one sentence, with exit status 2."""
    with exiting(FrontEnd(again='resumes from the newest checkpoint')):
        heed_signals()
        show_messages()
        options, config, seeds = parse(sys.argv[1:])
        if options.mode or options.distributed:
            raise InputError('each seed is trained and evaluated, by one process: leave out --mode and --distributed.')
        check_config(config)
        keep_compiled(options.compilation_cache)
        evaluation_runs(config)  # finds mistakes in its settings before a training
        run(config, seeds, Path(options.workdir or f'{default_workdir(config)}-seeds').expanduser())


if __name__ == '__main__':
    main()
