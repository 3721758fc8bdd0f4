"""The rules of the public names, of which a reader may be sure: documentation, types, options by name, no prints."""

import ast
import dataclasses
import inspect
import textwrap

import pytest
from tiny import ROOT

import panet_jax as pj

# Functions whose options may be given by position, as scripts of others do.
POSITIONAL = {'episode_loss', 'Segmenter.__init__'}
# To be documented or typed; a name leaves these lists when it is, and none comes in.
WITHOUT_SECTIONS = {
    *('encode_episode', 'episode_logits', 'prepare', 'Episode.replace'),
    *('load_encoder_params', 'save_encoder_params'),
}
WITHOUT_TYPES = {
    *('Episode.replace', 'alignment_loss', 'class_prototypes', 'cosine_logits', 'encode', 'encode_episode'),
    *('episode_logits', 'episode_loss', 'load_encoder_params', 'masked_mean', 'normalize', 'prepare'),
    *('save_encoder_params', 'segmentation_loss', 'upsample'),
}


def public_functions():
    """{name: function} of the package and of its classes."""
    functions = {}
    for name in pj.__all__:
        thing = getattr(pj, name)
        if inspect.isclass(thing):
            members = {f'{name}.{key}': getattr(thing, key) for key in vars(thing) if not key.startswith('_')}
            functions |= {
                key: member for key, member in members.items() if inspect.isfunction(member) or inspect.ismethod(member)
            }
            if '__init__' in vars(thing) and not dataclasses.is_dataclass(thing):
                functions[f'{name}.__init__'] = thing.__init__
        elif inspect.isfunction(thing):
            functions[name] = thing
    return functions


FUNCTIONS = public_functions()


def parameters(function):
    taken = inspect.signature(function).parameters.values()
    return [parameter for parameter in taken if parameter.name not in ('self', 'cls')]


def documentation(name):
    """A function's docstring; that of __init__ is its class's."""
    owner = getattr(pj, name.partition('.')[0])
    return inspect.getdoc(owner if name.endswith('__init__') else FUNCTIONS[name]) or ''


def raises_input_error(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
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
    wanted = ['Args:'] * bool(parameters(function)) + ['Raises:'] * raises_input_error(function)
    wanted += ['Returns:'] * (result not in (None, 'None', inspect.Signature.empty))
    assert [section for section in wanted if f'\n{section}\n' not in text] == []
    if 'Args:' in wanted:
        arguments = text.partition('\nArgs:\n')[2]
        assert [taken.name for taken in parameters(function) if f'{taken.name}' not in arguments] == []


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - WITHOUT_TYPES))
def test_public_functions_have_types(name):
    signature = inspect.signature(FUNCTIONS[name])
    assert [taken.name for taken in parameters(FUNCTIONS[name]) if taken.annotation is taken.empty] == []
    assert name.endswith('__init__') or signature.return_annotation is not signature.empty


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - POSITIONAL))
def test_options_of_functions_with_many_parameters_are_given_by_name(name):
    taken = parameters(FUNCTIONS[name])
    options = [one for one in taken if one.default is not one.empty]
    assert len(taken) <= 3 or all(one.kind == one.KEYWORD_ONLY for one in options)


# Programs print; libraries log. A file leaves this list when it prints no more.
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
    """{file: lines} of the libraries' syntax of some kind that meets a condition."""
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


TYPED_FOLDERS = ('segmenter', 'demo')  # of which every public function has types; more folders come in


def defined_functions(body):
    """The functions of a module's or a class's body that have public names, with those of its public classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith('_') or node.name == '__init__'):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            yield from defined_functions(node.body)


@pytest.mark.parametrize('name', sorted(name for name in LIBRARIES if name.partition('/')[0] in TYPED_FOLDERS))
def test_public_functions_of_these_folders_have_types_and_sentences(name):
    for function in defined_functions(ast.parse(LIBRARIES[name].read_text()).body):
        taken = [argument for argument in function.args.args if argument.arg not in ('self', 'cls')]
        untyped = [argument.arg for argument in taken + function.args.kwonlyargs if argument.annotation is None]
        assert untyped == [], function.name
        assert function.name == '__init__' or (function.returns and ast.get_docstring(function)), function.name
