"""One page of HTML without other files: tables, charts, sheets of pictures, settings."""

import base64
import io
import json

import jinja2
from PIL import Image

from panet_jax.disk.workdir import write_text
from panet_jax.results.rows import upright

PAGE = 'report.html.jinja'
QUALITY = 85  # of the pictures, which are WebP


def save_report(path, title, tables, sheets, settings, charts=()):
    """Writes the page, which appears complete or not at all.

    Args:
        path: HTML file to write.
        title: title of the page.
        tables: Tables from rows.py.
        sheets: titles and paths of PNG files.
        settings: configuration of the experiment, a ConfigDict.
        charts: Charts from charts.py, which stand below the first table.
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
