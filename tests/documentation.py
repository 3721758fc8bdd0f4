"""What README.md, CONTRIBUTING.md and docs/ hold: fenced blocks, the commands in them, links, headings."""

import re
import shlex
from typing import NamedTuple

from tiny import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block; `line` is the number of its first line in the page."""

    page: str
    line: int
    language: str
    text: str


def blocks(page):
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(page.name, text.count('\n', 0, match.start(2)) + 1, match[1], match[2]) for match in FENCE.finditer(text)
    ]


def prose(page):
    """A page without its blocks."""
    return FENCE.sub('', page.read_text())


def commands(text):
    """The commands of a shell script, as lists of words, without comments such as #SBATCH."""
    lists = []
    for line in text.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        while '&&' in words:
            end = words.index('&&')
            lists.append(words[:end])
            words = words[end + 1 :]
        lists.append(words)
    return [words for words in lists if words]


def anchors(page):
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r'^#+ (.*)$', FENCE.sub('', page.read_text()), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}
