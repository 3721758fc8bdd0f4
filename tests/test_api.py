"""Rules of the code that a reader can rely on: documentation, types, options by name, no prints."""

import ast
import dataclasses
import inspect
import textwrap

import pytest
from tiny import ROOT

import panet_jax as pj

# Functions whose options may be positional, as in existing scripts.
POSITIONAL = {'episode_loss', 'Segmenter.__init__'}
# Neither documented nor typed here; names may only leave these lists.
WITHOUT_SECTIONS = WITHOUT_TYPES = {'Episode.replace'}  # it is Flax's


def public_functions():
    """{name: function} of the package and of its classes."""
    functions = {}
    for name in pj.__all__:
        value = getattr(pj, name)
        if inspect.isclass(value):
            members = {f'{name}.{key}': getattr(value, key) for key in vars(value) if not key.startswith('_')}
            functions |= {
                key: member for key, member in members.items() if inspect.isfunction(member) or inspect.ismethod(member)
            }
            if '__init__' in vars(value) and not dataclasses.is_dataclass(value):
                functions[f'{name}.__init__'] = value.__init__
        elif inspect.isfunction(value):
            functions[name] = value
    return functions


FUNCTIONS = public_functions()


def parameters(function):
    all_parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in all_parameters if parameter.name not in ('self', 'cls')]


def documentation(name):
    """A function's docstring; that of __init__ is its class's."""
    owner = getattr(pj, name.partition('.')[0])
    return inspect.getdoc(owner if name.endswith('__init__') else FUNCTIONS[name]) or ''


def raises_input_error(function):
    return raises_error(ast.parse(textwrap.dedent(inspect.getsource(function))))


def raises_error(tree):
    """Whether a function's syntax raises an InputError."""
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return any(getattr(call.func, 'id', '') == 'InputError' for call in raised)


def test_the_public_names_have_not_become_fewer():
    assert set(pj.__all__) >= {
        *(
            'IGNORE',
            'Box',
            'Episode',
            'InputError',
            'Points',
            'Scribble',
            'Segmentation',
            'Segmenter',
            'alignment_loss',
        ),
        *('class_prototypes', 'cosine_logits', 'encode', 'encode_episode', 'episode_logits', 'episode_loss'),
        *('load_encoder_params', 'masked_mean', 'normalize', 'prepare', 'save_encoder_params', 'segmentation_loss'),
        'upsample',
    }


@pytest.mark.parametrize('name', [name for name in pj.__all__ if name != 'IGNORE'])
def test_every_public_name_says_in_a_sentence_what_it_is(name):
    first = (inspect.getdoc(getattr(pj, name)) or '').partition('\n')[0]
    assert first.endswith(('.', ':')) or first.count(' ') > 2


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - WITHOUT_SECTIONS))
def test_public_functions_document_arguments_returns_and_mistakes(name):
    function, text = FUNCTIONS[name], documentation(name)
    result = inspect.signature(function).return_annotation
    sections = ['Args:'] * bool(parameters(function)) + ['Raises:'] * raises_input_error(function)
    sections += ['Returns:'] * (result not in (None, 'None', inspect.Signature.empty))
    assert [section for section in sections if f'\n{section}\n' not in text] == []
    if 'Args:' in sections:
        arguments = text.partition('\nArgs:\n')[2]
        assert [parameter.name for parameter in parameters(function) if parameter.name not in arguments] == []


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - WITHOUT_TYPES))
def test_public_functions_have_types(name):
    signature = inspect.signature(FUNCTIONS[name])
    assert [one.name for one in parameters(FUNCTIONS[name]) if one.annotation is one.empty] == []
    assert name.endswith('__init__') or signature.return_annotation is not signature.empty


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - POSITIONAL))
def test_options_of_functions_with_many_parameters_are_given_by_name(name):
    all_parameters = parameters(FUNCTIONS[name])
    options = [one for one in all_parameters if one.default is not one.empty]
    assert len(all_parameters) <= 3 or all(one.kind == one.KEYWORD_ONLY for one in options)


# Programs print; libraries log. Files may only leave this list.
PRINTS = {
    'evaluation/table',
}
PROGRAMS = ('main',)
LIBRARIES = {
    path.relative_to(ROOT / 'panet_jax').with_suffix('').as_posix(): path
    for path in sorted((ROOT / 'panet_jax').rglob('*.py'))
    if path.stem not in PROGRAMS and path.parent.name != 'commands'
}


def lines_with(kind, condition):
    """{file: line numbers} of the nodes of a kind in the libraries that meet a condition."""
    lines = {}
    for name, path in LIBRARIES.items():
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind) and condition(node)]
        lines |= {name: [node.lineno for node in nodes]} if nodes else {}
    return lines


def test_libraries_do_not_print():
    prints = lines_with(ast.Call, lambda call: getattr(call.func, 'id', '') == 'print')
    assert {name: lines for name, lines in prints.items() if name not in PRINTS} == {}
    assert set(prints) == PRINTS


def test_libraries_name_settings_and_not_options_of_the_program():
    """An error names a setting in braces, and each program words its own option."""
    named = lines_with(ast.Constant, lambda text: isinstance(text.value, str) and '--config.' in text.value)
    assert set(named) <= {'errors', 'settings'}  # which are about --config


FILES = sorted((ROOT / 'panet_jax').rglob('*.py'))


def defined_functions(path):
    """{name: syntax} of the public functions and methods of a file."""
    functions = {}
    for node in ast.parse(path.read_text()).body:
        is_class = isinstance(node, ast.ClassDef) and not node.name.startswith('_')
        for member in node.body if is_class else [node]:
            if isinstance(member, ast.FunctionDef) and (not member.name.startswith('_') or member.name == '__init__'):
                functions[f'{node.name}.{member.name}' if is_class else member.name] = member
    return functions


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.relative_to(ROOT / 'panet_jax').as_posix())
def test_functions_of_all_files_have_types_and_document_their_errors(path):
    for name, function in defined_functions(path).items():
        signature = function.args
        variadic = [one for one in (signature.vararg, signature.kwarg) if one]
        arguments = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs, *variadic]
        assert [one.arg for one in arguments if not one.annotation and one.arg not in ('self', 'cls')] == [], name
        assert function.returns or name.endswith('__init__'), name
        if raises_error(function) and not name.endswith('__init__'):
            assert '\nRaises:\n' in ast.get_docstring(function), name


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.relative_to(ROOT / 'panet_jax').as_posix())
def test_functions_of_all_files_document_their_arguments_and_values(path):
    for name, function in defined_functions(path).items():
        text, is_method = ast.get_docstring(function), '.' in name
        assert text or name.endswith('__init__'), name
        if function.args.args and not is_method:
            assert '\nArgs:\n' in text, name
            needs_value = ast.unparse(function.returns) not in ('None', 'NoReturn')
            assert not needs_value or '\nReturns:\n' in text or '\nYields:\n' in text, name
