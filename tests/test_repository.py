"""The files around the code: version, citation, workflows, the site's pages."""

import configparser
import re

import pytest
import yaml
from tiny import ROOT

import panet_jax

WORKFLOWS = sorted((ROOT / '.github').rglob('*.yml'))


def read_yaml(path):
    """A YAML file; a tag such as !python/name of mkdocs.yml would be an error."""
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_and_forms_are_yaml_with_a_name(path):
    content = read_yaml(path)
    assert content.get('name') or path.stem == 'config'
    for job in content.get('jobs', {}).values():
        assert job['timeout-minutes'] <= 90
        assert all('uses' in step or 'run' in step for step in job['steps'])


def test_one_version():
    assert str(read_yaml(ROOT / 'CITATION.cff')['version']) == panet_jax.__version__
    newest = re.search(r'^## \[(.+?)\]', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert newest[1] in (panet_jax.__version__, 'Unreleased')


def test_workflows_try_every_python_that_the_package_says():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    said = re.findall(r'Python :: (3\.\d+)', setup['metadata']['classifiers'])
    jobs = (
        read_yaml(ROOT / '.github/workflows/ci.yml')['jobs'],
        read_yaml(ROOT / '.github/workflows/release.yml')['jobs'],
    )
    assert jobs[0]['test']['strategy']['matrix']['python'] == said
    assert jobs[1]['wheel']['strategy']['matrix']['python'] == said


def test_forms_ask_for_the_doctor_and_the_protocol():
    forms = {path.stem: read_yaml(path) for path in (ROOT / '.github/ISSUE_TEMPLATE').glob('*.yml')}
    asked = {name: [part.get('id') for part in form.get('body', ())] for name, form in forms.items()}
    assert 'doctor' in asked['defect']
    assert {'doctor', 'protocol'} <= set(asked['numbers'])


def test_every_page_is_in_the_navigation_of_the_site():
    pages = re.findall(r'\w[\w-]*\.md', str(read_yaml(ROOT / 'mkdocs.yml')['nav']))
    assert sorted(pages) == sorted(path.name for path in (ROOT / 'docs').glob('*.md'))


def test_every_public_name_is_in_the_reference():
    listed = set(re.findall(r'^::: panet_jax\.(\w+)$', (ROOT / 'docs/api.md').read_text(), re.MULTILINE))
    assert listed | {'IGNORE'} == set(panet_jax.__all__)
