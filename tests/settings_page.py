"""The table of docs/settings.md, from panet_jax/settings.py; written by `python tests/settings_page.py`."""

import re
from pathlib import Path

from panet_jax.settings import SETTINGS

PAGE = Path(__file__).parents[1] / 'docs/settings.md'
TABLE = re.compile(r'^\| setting \|.*?(?=\n\n)', re.MULTILINE | re.DOTALL)
HEAD = '| setting | default | values | in a workdir | what |\n|---|---|---|---|---|'


def typed(value):
    """A value in the form in which it is typed."""
    if isinstance(value, tuple):
        return ','.join(map(str, value))
    return str(value)


def code(text):
    return f'`{text}`' if text else "`''`"


def allowed(setting):
    """The allowed values of a setting."""
    if setting.name == 'evaluation.pictured':
        return ', '.join(map(code, setting.choices)) + ', numbers'
    if setting.choices:
        return ', '.join(code(str(choice)) for choice in setting.choices)
    if setting.step:
        return f'multiples of 1/{1 / setting.step:g}'
    if setting.most is not None:
        return f'{setting.least} to {setting.most}'
    if setting.least is not None:
        return f'from {setting.least}'
    return 'True, False' if isinstance(setting.default, bool) else ''


def table():
    rows = [
        f'| `{name}` | {code(typed(setting.default))} | {allowed(setting)} | {setting.role.value} | {setting.meaning} |'
        for name, setting in SETTINGS.items()
    ]
    return '\n'.join([HEAD, *rows])


if __name__ == '__main__':
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text(), count=1))
