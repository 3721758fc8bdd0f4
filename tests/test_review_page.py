"""The review in a real browser: 60 photographs, corrected, closed, opened again and exported."""

import contextlib
import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from browser import MISSING, SECONDS, awaited, serving, visiting
from PIL import Image
from pycocotools.coco import COCO

import panet_jax as pj
from panet_jax.commands import cli

DATA = Path(os.environ.get('PANET_TEST_DATA', '')) / 'coco_mini'
PHOTOS, SIZE = 60, 65
ALL = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.05)]
MIDDLE = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75), (0.25, 0.3)]
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(bool(MISSING), reason=f'the real page needs {", ".join(MISSING)}'),
    pytest.mark.skipif(not (DATA / 'images').is_dir(), reason='it needs coco_mini in PANET_TEST_DATA'),
]


@pytest.fixture
def project(current_folder, narrow_params):
    """Drafts of 60 photographs, by one reference and a small network."""
    photos = sorted((DATA / 'images').iterdir())[: PHOTOS + 1]
    with Image.open(photos[0]) as photo:
        mask = np.zeros(photo.size[::-1], np.uint8)
    mask[: len(mask) // 2] = 1
    Image.fromarray(mask).save('mask.png')
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    words = ['--weights=narrow.safetensors', f'--size={SIZE}', f'--support=cat={photos[0]}:mask.png', '--out=project']
    with pytest.raises(SystemExit) as ended:
        cli.run(['predict', *words, '--query', *map(str, photos[1:])])
    assert ended.value.code == 0
    return current_folder / 'project'


@contextlib.contextmanager
def opened(project, **viewport):
    """The page of the project; its server ends as it does when a terminal is closed."""
    with serving(project.parent, f'--project={project}', '--weights=narrow.safetensors') as (server, address):
        with visiting(address, **viewport) as page:
            page.locator('#review-heading strong').wait_for()
            yield page
        server.send_signal(signal.SIGHUP)
        rest, _ = server.communicate(timeout=SECONDS)
        assert (server.returncode, rest) == (0, '')


def shown(page):
    """Name of the image that is shown, without ending."""
    return page.locator('#review-heading strong').inner_text().partition('.')[0]


def press(page, key):
    page.keyboard.press(key)


def draw(page, number, *points):
    """Draws a line through points, given as fractions of the picture; waits until the server has this stroke."""
    from playwright.sync_api import expect

    box = page.locator('#review-stage canvas').bounding_box()
    places = [(box['x'] + x * box['width'], box['y'] + y * box['height']) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    expect(page.locator('#review-picture i')).to_have_attribute('data-number', str(number))


def show_next(page, before):
    """Waits until another image is drawn on the stage, by its name."""
    page.wait_for_function(
        "before => document.querySelector('#review-stage').dataset.stem !== (before ?? undefined)", arg=before
    )


def labels_of(project, stem):
    """The label map of an image, and its step."""
    step = json.loads((project / 'review' / stem / 'steps.json').read_text())['steps'][-1]
    with Image.open(project / 'review' / stem / f'{step["labels"]}.png') as image:
        return np.asarray(image), step


def accept(page, count):
    """Accepts the image that is shown; `count` are reviewed then."""
    stem = shown(page)
    press(page, 'a')
    page.get_by_text(f'{count} of {PHOTOS} reviewed').wait_for()
    show_next(page, stem)
    return stem


def test_a_review_in_a_browser_is_kept_and_exported(project):
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * SECONDS)
    with opened(project) as page:
        page.get_by_text(f'0 of {PHOTOS} reviewed').wait_for()
        expect(page.locator('#review-list .thumbnail-item')).to_have_count(PHOTOS)
        stem, steps = shown(page), project / 'review' / shown(page) / 'steps.json'
        press(page, 'x')
        awaited(lambda: True if steps.exists() and not labels_of(project, stem)[0].any() else None)
        count = len(json.loads(steps.read_text())['steps'])
        press(page, 'u')
        awaited(lambda: True if len(json.loads(steps.read_text())['steps']) < count else None)
        show_next(page, None)

        # Three corrections: all is taken away; then an outline is added, or a line of the brush.
        press(page, 'o')
        press(page, 'd')
        draw(page, 1, *ALL)
        emptied = accept(page, 1)
        draw(page, 2, *ALL)
        press(page, 'd')
        draw(page, 3, *MIDDLE)
        outlined = accept(page, 2)
        draw(page, 4, *MIDDLE)
        press(page, 'u')
        expect(page.locator('#review-picture i')).to_have_attribute('data-number', '0')
        press(page, 'd')
        draw(page, 5, *ALL)
        press(page, 'd')
        press(page, 'b')
        draw(page, 6, (0.1, 0.5), (0.9, 0.5))
        brushed = accept(page, 3)

        rejected = shown(page)
        press(page, 'r')
        page.get_by_text('1 of them rejected').wait_for()
        show_next(page, rejected)

        # The rest is segmented with one more reference.
        reference = shown(page)
        press(page, 'f')
        page.get_by_text(f'{PHOTOS - 5} images are segmented.').wait_for()
        runs = {json.loads(path.read_text())['run'] for path in (project / 'objects').iterdir()}
        assert len(runs) == 2

    assert not labels_of(project, emptied)[0][20:-20, 20:-20].any()
    height, width = (outline := labels_of(project, outlined)[0]).shape
    inside = np.s_[height // 4 + 9 : -height // 4 - 9, width // 4 + 9 : -width // 4 - 9]
    assert outline[inside].all()
    assert outline[20:-20, 20:-20].sum() == pytest.approx(outline.size / 4, rel=0.1)
    brush = labels_of(project, brushed)[0][20:-20, 20:-20]
    assert brush[:, len(brush.T) // 8 : -len(brush.T) // 8].any(0).all()
    assert not np.delete(brush, np.s_[len(brush) // 2 - 20 : len(brush) // 2 + 20], 0).any()
    assert labels_of(project, reference)[1]['reference'] is not None

    with opened(project) as page:
        page.get_by_text(f'5 of {PHOTOS} reviewed').wait_for()
        page.get_by_text('1 of them rejected').wait_for()
        page.locator('#review-export').get_by_text('Export').first.click()
        page.locator('#export-folder').click()
        page.get_by_text('It is in').wait_for()
        page.locator('#export-zip').click()
        page.get_by_text('The zip is ready').wait_for()
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(project / 'export/annotations.json')
    exported = {Path(image['file_name']).stem: number for number, image in coco.imgs.items()}
    assert set(exported) == {brushed, outlined, emptied, reference}
    assert rejected not in exported
    for stem, number in exported.items():
        labels = labels_of(project, stem)[0]
        masks = [coco.annToMask(one) for one in coco.imgToAnns[number]]
        np.testing.assert_array_equal(np.any([np.zeros_like(labels), *masks], 0), labels > 0)


def test_an_outline_may_begin_beside_the_picture(project):
    with opened(project) as page:
        show_next(page, None)
        stem = shown(page)
        press(page, 'o')
        draw(page, 1, (-0.02, 0.3), (0.6, 0.3), (0.6, 0.7), (-0.02, 0.7), (-0.02, 0.35))
    labels, _ = labels_of(project, stem)
    height, width = labels.shape
    assert labels[int(0.35 * height) : int(0.65 * height), : width // 2].all()


def test_a_second_tab_takes_the_project_over(project):
    words = f'--project={project}', '--weights=narrow.safetensors'
    with serving(project.parent, *words) as (_, address), visiting(address) as first:
        first.locator('#review-heading strong').wait_for()
        second = first.context.new_page()
        second.goto(address)
        second.locator('#review-heading strong').wait_for()
        press(first, 'a')
        first.get_by_text('opened in another tab').wait_for()
        accept(second, 1)


def bottom(page, selector):
    box = page.locator(selector).bounding_box()
    return box['y'] + box['height']


@pytest.mark.parametrize(('width', 'height'), [(1280, 800), (390, 844)], ids=['desktop', 'phone'])
def test_what_each_image_needs_is_on_the_first_screen(project, width, height):
    with opened(project, width=width, height=height) as page:
        show_next(page, None)
        for count in range(1, 4):  # photographs of other shapes
            for selector in ('#review-heading', '#review-stage', '#review-accept', '#review-reject', '#review-undo'):
                assert bottom(page, selector) <= height, selector
            assert page.locator('#review-stage').bounding_box()['height'] >= 190
            accept(page, count)
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        assert not page.locator('#review-take').is_visible()  # the first view has nothing to take
        if width > 640:
            assert bottom(page, '#review-export') <= height
        page.locator('#review-filter').get_by_text('accepted').click()
        page.wait_for_function("document.querySelectorAll('#review-list .thumbnail-item').length === 3")
        assert page.locator('#review-list').bounding_box()['height'] < 160  # one row, and no empty box below it


def test_the_first_view_is_offered_once_it_has_something_to_take(current_folder, narrow_params):
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    with (
        serving(current_folder, '--project=new', '--weights=narrow.safetensors') as (_, address),
        visiting(address) as page,
    ):
        page.get_by_role('tab', name='Review').click()
        page.locator('#review-take').wait_for()  # nothing is here: it is the way to begin
        page.get_by_role('tab', name='Mark and find').click()
        page.locator('#example').click()
        page.locator('#legend tr').first.wait_for()
        page.get_by_role('tab', name='Review').click()
        page.locator('#review-take').click()
        page.locator('#review-heading strong').wait_for()
        page.locator('#review-take').wait_for(state='hidden')
