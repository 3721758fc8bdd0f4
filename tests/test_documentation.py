"""README.md and docs/: every command and snippet runs, and all names on the pages exist.

Commands run in a folder of small synthetic photographs, with small settings before the documented ones, so that these
take precedence. Commands that cannot run here are parsed by their program (ONLY_PARSED).
"""

import configparser
import contextlib
import importlib
import re
import shutil

import jax
import numpy as np
import pytest
import settings_page
from documentation import PAGES, anchors, blocks, commands, prose
from drawn import draw_disc
from folders import make_coco, make_own, make_voc
from PIL import Image
from test_weights import torch_layout, write_zip
from tiny import ROOT
from typed import run_typed

import panet_jax as pj
from panet_jax.commands import demo
from panet_jax.method.vgg16 import init_encoder_params
from panet_jax.networks import initial
from panet_jax.networks.layouts.vgg16_layout import SNAPSHOT_NAMES
from panet_jax.settings import SETTINGS

SMALL = [
    *('--config.data.size=33', '--config.encoder.width=0.03125', '--config.encoder.weights=random'),
    *('--config.steps=2', '--config.batch=2', '--config.log_every=1', '--config.checkpoint_every=2'),
    *('--config.evaluation.runs=1', '--config.evaluation.episodes=3', '--config.evaluation.batch=2'),
    *('--config.evaluation.pictures=0', '--config.loader.threads=2'),
    *('--config.table.folds=(0,)', '--config.table.shots=(1,)', "--config.table.annotations=('dense',)"),
]
# Roots for commands that would download a data set.
ROOTS = {'pascal5i': 'VOCdevkit/VOC2012', 'coco20i': 'COCO'}
# Options of commands that cannot run in a test, with the reason.
ONLY_PARSED = {
    '--distributed': 'needs a cluster; tests/test_hosts.py runs two processes',
    '--coordinator=HOST0:1234': 'needs a second host; tests/test_hosts.py runs two processes',
    '--workdir=gs://MY_BUCKET/pascal5i': 'needs a bucket; tests/test_buckets.py has one of an emulator',
    '--config.batch=8': 'compiles another step; tests/test_train.py has several batches and devices',
    '--config.accumulate=4': 'compiles another step; tests/test_train.py accumulates and rematerialises',
}


def distinct(page):
    """The commands of a page, as lists of words, without those of earlier pages."""
    earlier = [words for other in PAGES[: PAGES.index(page)] for words in typed_in(other)]
    return [words for words in typed_in(page) if words not in earlier]


def typed_in(page):
    return [words for block in blocks(page) if block.language == 'bash' for words in commands(block.text)]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder with all files that the pages mention."""
    folder = tmp_path_factory.mktemp('files')
    for name in ('configs', 'benchmarks', 'robustness'):
        (folder / name).symlink_to(ROOT / name)
    for seed, name in enumerate(('cat1', 'cat2', 'dog', 'dog2', 'photo', 'folder/1', 'folder/2')):
        (folder / name).parent.mkdir(exist_ok=True)
        image, mask = draw_disc(seed, shape=(200, 240), center=(80, 120), radius=50)
        Image.fromarray(image).save(folder / f'{name}.jpg')
        Image.fromarray(mask).save(folder / f'{name}.png')
    shutil.copy(folder / 'dog2.png', folder / 'strokes.png')
    lists = make_voc(folder, count=60, classes=20) / 'ImageSets/Segmentation'
    for name in ('trainaug', 'val'):
        shutil.copy(lists / 'trainval.txt', lists / f'{name}.txt')
    for root, name, images in (('COCO', 'instances_val2014', 'val2014'), ('PHOTOGRAPHS', 'instances', 'images')):
        json = make_coco(folder / root, classes=4)
        shutil.copy(json, json.with_name(f'{name}.json'))
        (folder / root / images).symlink_to('train2014')
    for seed, number in enumerate((119828, 5001)):
        photo, _ = draw_disc(seed, shape=(480, 640), center=(220, 300), radius=100)
        Image.fromarray(photo).save(folder / f'PHOTOGRAPHS/images/{number:012d}.jpg')
    masks = make_own(folder / 'FOLDER', by_class=True, count=8) / 'masks'
    for name, like in (('cow', 'cat'), ('hen', 'dog')):
        shutil.copytree(masks / like, masks / name)
        for path in (masks / name).iterdir():
            Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    narrow = jax.device_get(init_encoder_params(jax.random.key(0), 1 / 32))
    pj.save_encoder_params(folder / 'narrow.safetensors', narrow)
    write_zip(folder / '30000.pth', torch_layout(narrow, SNAPSHOT_NAMES, 'module.encoder.backbone.'))
    return folder


@pytest.fixture
def folder(files, tmp_path, monkeypatch):
    """A copy of these files as current folder, with a narrow network in place of the ImageNet network."""
    folder = shutil.copytree(files, tmp_path / 'copy', symlinks=True)
    monkeypatch.setattr(initial, 'imagenet_params', lambda: pj.load_encoder_params('narrow.safetensors'))
    with contextlib.chdir(folder):
        yield folder


def check_command(words, folder, only_parse=False):
    """Runs a command, or parses it; one that no rule knows fails."""
    match words:
        case ['pip', 'install', *what]:  # not run: it would change the environment of the tests
            check_packages(what)
        case ['pytest' | 'ruff' | 'lint-imports' | 'pre-commit', *_] | ['cd', _]:
            pass
        case ['python3', '-m', 'venv', 'venv'] | ['.', 'venv/bin/activate']:
            pass
        case ['srun', *rest]:
            check_command(rest, folder, only_parse=True)
        case ['gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', *rest]:
            (inner,) = [word.removeprefix('--command=') for word in rest if word.startswith('--command=')]
            for command in commands(inner):
                check_command(command, folder, only_parse=True)
        case ['python' | 'python3', '-m', 'panet_jax.main', config, *rest]:
            root = [f'--config.data.root={path}' for name, path in ROOTS.items() if name in config]
            parse = only_parse or set(rest) & set(ONLY_PARSED)
            succeed('parsed program' if parse else 'program', ['main', config, *SMALL, *root, *rest], folder)
        case ['panet-jax', 'train' | 'evaluate' | 'table' as command, name, *rest]:
            mode = {'train': [], 'evaluate': ['--mode=evaluate'], 'table': ['--mode=table']}[command]
            check_command(['python', '-m', 'panet_jax.main', f'--config={name}', *mode, *rest], folder, only_parse)
        case ['python', script, *_] if script.startswith(('benchmarks/', 'robustness/')):  # minutes each
            succeed('parsed script', words[1:], folder)
        case ['panet-jax', 'data', 'prepare', name, *rest]:
            succeed('console script', [*words[:4], f'--root={ROOTS[name]}', *rest], folder)
        case ['panet-jax', 'data' | 'predict' | 'export' | 'doctor', *_]:
            succeed('console script', words, folder)
        case ['panet-jax', 'demo', *options]:  # serves until Ctrl-C; tests/test_demo.py opens the page
            demo.make_parser().parse_args(options)
        case _:
            pytest.fail(f'no rule for the command {" ".join(words)}')


def succeed(how, words, folder):
    environment = {'TFDS_DATA_DIR': str(folder / 'prepared'), 'PANET_JAX_CACHE': str(folder / 'cache')}
    status, printed = run_typed(how, words, folder, environment)
    assert status == 0, f'{" ".join(words)}\n{printed}'
    assert 'Warning' not in printed


def packages(text):
    """What a command of pip installs, besides JAX for an accelerator, up to && or the end of the line."""
    (words, *_) = commands(text)
    return [word for word in words if not word.startswith('jax[')]


def check_packages(what):
    """Every extra that a command installs is one of ours."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    for word in what:
        if match := re.fullmatch(r'(?:\.|panet-jax|\./panet_jax-.+\.whl)\[(.+)\](?: @ git\+https://.+)?', word):
            assert set(match[1].split(',')) <= set(setup['options.extras_require']), word
        else:
            assert word in ('-e', '.', '-U'), word


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_who_has_no_clone_can_install_what_a_page_names(page):
    """What is installed from a clone is for those who have one: their tests, the documentation, the measurements."""
    shown = re.findall(r'pip install ([^`\n]*)', page.read_text())
    for what in shown:
        check_packages(packages(what))
    of_clones = {'.[test]', '.[test,dev]', '.[docs]', '.[tpu]', '.'}
    rows = {'index': {'.[demo,imagenet]'}}.get(page.stem, set())  # the row on a clone in the table of ways to install
    typed = {word for what in shown if '-e' in what for word in packages(what)[1:2]}
    assert typed <= of_clones | rows


@pytest.mark.exhaustive
@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_commands_run(page, folder):
    for words in distinct(page):
        if any('elsewhere/' in word for word in words):
            train_elsewhere(folder)
        check_command(words, folder)


def train_elsewhere(folder):
    workdir = '--workdir=elsewhere/fold0-1shot'
    words = ['python', '-m', 'panet_jax.main', '--config=configs/pascal5i.py', '--mode=train', workdir]
    check_command(words, folder)


def snippet_names():
    """The names that snippets may use without defining them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 33, 33, 3), dtype=np.uint8)
    foreground = rng.random((1, 2, 33, 33)) < 0.3
    labels = rng.choice(np.array([0, 1, pj.IGNORE], np.uint8), (1, 33, 33))
    return {
        'compact': pj.Episode(images[None, :2], foreground, ~foreground, images[2:], labels),
        'paths': ['photo.jpg', 'folder/1.jpg'],
    }


def make_files(page, snippet, folder):
    """Runs the commands of the page's blocks that make a file which a snippet reads."""
    for block in blocks(page):
        words = commands(block.text) if block.language == 'bash' else []
        made = {
            name
            for command in words
            for name in command
            if any(f"{reader}('{name}'" in snippet for reader in ('Path', 'InferenceSession'))
        }
        if any(not (folder / name).exists() for name in made):
            for command in words:
                check_command(command, folder)


@pytest.mark.exhaustive
@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_snippets_run(page, folder):
    names = {} if page.stem == 'library' else snippet_names()  # that one is a program
    for block in blocks(page):
        if block.language == 'python':
            make_files(page, block.text, folder)
            # Empty lines before it: an error names the page's line.
            exec(compile('\n' * (block.line - 1) + block.text, page.name, 'exec'), names)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_blocks_are_commands_snippets_or_plain_text(page):
    programs = ('$ ', 'pip ', 'python ', 'python3 ', 'panet-jax ', 'import ', 'from ')
    for block in blocks(page):
        assert block.language in ('bash', 'python', ''), block
        if not block.language:
            assert not [line for line in block.text.splitlines() if line.startswith(programs)], block


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_link_targets_exist(page):
    for target in re.findall(r'\]\(([^)]+)\)', prose(page)):
        if target.startswith('https://'):
            continue
        path, _, anchor = target.partition('#')
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


PACKAGE = ROOT / 'panet_jax'
FOLDERS = [path.parent for path in sorted(PACKAGE.glob('*/__init__.py'))]


# The authors' files, which docs/from-pytorch.md names.
OF_THE_AUTHORS = {'test.py'} | {
    *('models/vgg.py', 'models/fewshot.py', 'dataloaders/customized.py', 'dataloaders/common.py'),
    *('dataloaders/pascal.py', 'dataloaders/coco.py', 'dataloaders/transforms.py', 'util/metric.py'),
    *('util/scribbles.py', 'util/sbd_instance_process.py', 'util/voc_classwise_filenames.py'),
}


# Files of the data sets of other programs.
OF_FORMATS = {
    *('labelmap.txt', 'ImageSets/Segmentation/default.txt', 'ImageSets/Segmentation/LIST.txt', 'tiff/classes.txt'),
    *('train.txt', 'val.txt', 'labels/NAME.txt'),
}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_files_on_the_pages_exist(page):
    mentioned = set(re.findall(r'(?:`|\b)((?:[\w-]+/)*[\w-]+\.(?:py|txt|ipynb))\b', prose(page)))
    of_users = {'classes.txt', 'class1.txt', 'own.py', *OF_FORMATS}
    homes = [ROOT, PACKAGE, *FOLDERS]
    theirs = OF_THE_AUTHORS if page.stem == 'from-pytorch' else set()
    assert not [name for name in mentioned - of_users - theirs if not any((home / name).exists() for home in homes)]


# Endings that make `metrics.jsonl` a file and not a name in metrics.py.
FILE_ENDINGS = ('ckpt', 'pth', 'py', 'md', 'csv', 'html', 'json', 'jsonl', 'safetensors', 'txt', 'xml', 'yaml')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_settings_and_functions_on_the_pages_exist(page):
    text = page.read_text()
    flags = {name for name in re.findall(r'--config\.([\w.]*\w)', text) if name != 'NAME'}
    assert flags <= set(SETTINGS)
    assert {name for name in re.findall(r'\bpj\.(\w+)', text) if not hasattr(pj, name)} == set()
    for module, name in set(re.findall(r'`(\w+)\.(\w+)`', prose(page))):
        homes = [path for path in PACKAGE.rglob(f'{module}.py') if name not in FILE_ENDINGS]
        if homes and f'{module}.{name}' not in SETTINGS:
            dotted = '.'.join(homes[0].relative_to(ROOT).with_suffix('').parts)
            assert hasattr(importlib.import_module(dotted), name), f'{module}.{name}'


def test_the_page_of_settings_is_their_table():
    """`python tests/settings_page.py` writes the table."""
    assert settings_page.TABLE.search(settings_page.PAGE.read_text())[0] == settings_page.table()


def test_the_reading_path_names_every_folder():
    rows = re.findall(r'^\| (`\w+/`.*?) \| \d \|', (ROOT / 'docs/architecture.md').read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r'`(\w+)/`', row)]
    assert sorted(named) == [folder.name for folder in FOLDERS]


def test_a_command_that_no_rule_knows_fails(tmp_path):
    with pytest.raises(pytest.fail.Exception, match='no rule for the command rm -r'):
        check_command(['rm', '-r', 'x'], tmp_path)
