"""The bytes and cycles of the instructions in the text of a compiled program."""

import dataclasses
import re
from collections.abc import Iterator

# Bytes of an element, by the name of its type.
BYTES = {
    **dict.fromkeys(('pred', 's8', 'u8'), 1),
    **dict.fromkeys(('bf16', 'f16', 's16', 'u16'), 2),
    **dict.fromkeys(('f32', 's32', 'u32'), 4),
}
ARRAY = re.compile(rf'\b({"|".join(BYTES)})\[([\d,]*)\](?:\{{([^}}]*)\}})?')
INSTRUCTION = re.compile(r'\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)')
FAST = 'S(1)'  # in a layout: the array is in the fast memory of the chip, not in its large one
# Instructions that move nothing; the end of a copy is counted with its start.
FREE = {
    *('parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'after-all', 'partition-id', 'replica-id'),
    *('copy-done', 'slice-done', 'async-done', 'all-reduce-done'),
}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction of the program's main part.

    Attributes:
        operation: its kind, such as 'fusion'.
        moved: bytes that it reads from the large memory and writes to it.
        cycles: the compiler's estimate of its duration in clock cycles; 0 where it has none.
    """

    operation: str
    moved: int
    cycles: int


def instructions(text: str) -> list[Instruction]:
    """The instructions of a compiled program, without those inside fusions and loops.

    Args:
        text: the program, as from `Compiled.as_text`.

    Returns:
        The instructions, in the order of the text.
    """
    types, result = {}, []
    for name, kind, operation, rest in _lines(text):
        types[name] = kind
        cycles = re.search(r'"estimated_cycles":"(\d+)"', rest)
        operands = [types.get(operand, '') for operand in re.findall(r'%([\w.\-]+)', _arguments(rest))]
        moved = 0 if operation in FREE else _moved(operation, kind, operands)
        result.append(Instruction(operation, moved, int(cycles[1]) if cycles else 0))
    return result


def collectives(text: str) -> int:
    """How many times the chips exchange data in a run of a compiled program.

    Args:
        text: the program, as from `Compiled.as_text`.

    Returns:
        The number of all-reduces, all-gathers and the like.
    """
    return sum(
        bool(re.fullmatch(r'(all-|reduce-scatter|collective-).*(?<!-done)', instruction.operation))
        for instruction in instructions(text)
    )


def _lines(text: str) -> Iterator[tuple[str, str, str, str]]:
    for line in text[text.index('\nENTRY') :].splitlines():
        if match := INSTRUCTION.match(_without_index_comments(line)):
            yield match.groups()


def _without_index_comments(line):
    """XLA numbers the parts of a long tuple: /*index=5*/."""
    return re.sub(r'/\*index=\d+\*/', '', line)


def _arguments(rest):
    """The text up to the parenthesis that closes the arguments."""
    depth = 1
    for place, character in enumerate(rest):
        depth += {'(': 1, ')': -1}.get(character, 0)
        if not depth:
            return rest[:place]
    return rest


def _moved(operation, kind, operands):
    arrays = _arrays(kind)
    if operation in ('copy-start', 'slice-start'):  # (result, source, ...): the smaller one is what is copied
        return min(size for size, _ in arrays[:2]) * sum(not fast for _, fast in arrays[:2])
    return sum(
        size for size, fast in arrays + [array for operand in operands for array in _arrays(operand)] if not fast
    )


def _arrays(kind):
    """(bytes, whether it is in fast memory) of each array of a type."""
    arrays = []
    for element, axes, layout in ARRAY.findall(kind):
        size = BYTES[element]
        for length in filter(None, axes.split(',')):
            size *= int(length)
        arrays.append((size, FAST in layout))
    return arrays
