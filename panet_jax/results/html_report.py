"""The report of an evaluation, a single HTML file: tables, charts, sheets of pictures, settings."""

import base64
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import jinja2
from ml_collections import ConfigDict
from PIL import Image

from panet_jax.disk.paths import AnyPath
from panet_jax.disk.workdir import write_text
from panet_jax.results.charts import Chart
from panet_jax.results.tables import Table, upright

PAGE = 'report.html.jinja'
QUALITY = 85  # quality of the pictures, which are WebP


def save_report(
    path: AnyPath,
    title: str,
    tables: Iterable[Table],
    sheets: Iterable[tuple[str, Path]],
    settings: ConfigDict,
    charts: Sequence[Chart] = (),
) -> None:
    """Writes the page, which appears complete or not at all.

    Args:
        path: HTML file to write.
        title: title of the page.
        tables: the tables.
        sheets: titles and paths of PNG files.
        settings: configuration of the experiment.
        charts: charts below the first table.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('panet_jax.results', '.'), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template(PAGE).render(
        title=title,
        tables=[upright(table) for table in tables],
        charts=charts,
        sheets=[(name, _data_url(picture)) for name, picture in sheets],
        settings=json.dumps(settings.to_dict(), indent=2),
    )
    write_text(path, page)


def _data_url(picture):
    file = io.BytesIO()
    with picture.open('rb') as data, Image.open(data) as image:
        image.convert('RGB').save(file, 'webp', quality=QUALITY)
    return f'data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}'
