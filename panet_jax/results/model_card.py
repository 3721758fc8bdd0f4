"""The model card of an exported network, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from panet_jax.results.tables import Table, upright

TEMPLATE = 'model_card.md.jinja'


def model_card(name: str, source: str, about: Mapping[str, Any], tables: Sequence[Table]) -> str:
    """Writes the text of a model card.

    Args:
        name: name of the network, the heading.
        source: argument with which the Segmenter loads it.
        about: the content of model.json.
        tables: its results, a table for each setting.

    Returns:
        The text, with the header that the Hugging Face hub reads.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('panet_jax.results', '.'),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE).render(
        name=name, source=source, about=about, tables=[upright(table) for table in tables]
    )
