"""Segments photographs, and writes what is found: of each one as soon as it is done, so that a run can go on later."""

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from panet_jax.commands.answers import ask
from panet_jax.commands.decision import Decision, decided_by, has_answers, why_undecided
from panet_jax.commands.progress import progress
from panet_jax.commands.reference_files import drawn_pictures, remove_pictures, write_reference_pictures
from panet_jax.commands.result_sheet import draw_sheet
from panet_jax.commands.supports import Support
from panet_jax.disk.read_ahead import in_threads
from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError
from panet_jax.segmenter.kept_answers import AllAnswers

if TYPE_CHECKING:
    import panet_jax as pj


class Job(NamedTuple):
    """The photographs of a run, and where its results go.

    Attributes:
        out: folder of the results.
        root: folder of the photographs.
        stems: {photograph: name of its results}.
        earlier: results of earlier runs, as from `read_earlier`.
        answers: what is known of photographs, as from `read_answers`.
        supports: the references that were typed.
        options: what was typed.
    """

    out: Path
    root: Path
    stems: Mapping[Path, str]
    earlier: Mapping[str, Any]
    answers: AllAnswers
    supports: Sequence[Support]
    options: argparse.Namespace


def label_photos(segmenter: 'pj.Segmenter', job: Job) -> int:
    """Segments and draws photographs, exports the labels, and prints failures at the end.

    A photograph that the same command has done before is left as it is.

    Args:
        segmenter: the Segmenter with its references.
        job: what is to be done.

    Returns:
        The exit status: 0, or 1 if some photographs failed.

    Raises:
        InputError: other results in the folder were made with other settings.
    """
    from panet_jax.segmenter.outputs import REFERENCES, check_same, make_out

    about = _about(segmenter)
    check_same(job.out, job.earlier, about, job.stems)
    _print_replaced(job, about)
    decision = _decision(segmenter, job)
    run = _run(segmenter, job.options, decision)
    if decision.learns:
        print(_rule(decision), flush=True)
    before = _entries_before(run['id'], job)
    done = _done_before(before, job, decision)
    rest = [path for path in job.stems if path not in done]
    # It checks the references before anything is written.
    results = _stream(segmenter, rest, decision, before)
    make_out(job.out)
    pictures = drawn_pictures(segmenter, job.supports)
    remove_pictures(job.out, job.earlier, pictures)
    run['pictures'] = list(pictures)
    # First, so that what a kill leaves is known for results, which the same command goes on with.
    _write_results(job, about, run, done, decision)
    write_reference_pictures(segmenter, pictures, job.out)
    segmenter.save(job.out / REFERENCES)  # with which a review segments again
    try:
        _write_all(results, rest, run['id'], job, done)
        if decision.above is not None:
            _review(segmenter, run, job, decision, done)
    finally:  # also after Ctrl-C or another signal
        all_results = _write_results(job, about, run, done, decision)
        entries = [done[path] for path in job.stems if path in done]
        _print_done(job.out, entries, segmenter.classes)
    _print_undecided(job, entries, decision)
    _export(all_results, job)
    return _print_failed(entries)


def _decision(segmenter, job) -> Decision:
    from panet_jax.method.answers import FOLDER_ABOVE, FOLDER_IMAGES

    options, references = job.options, segmenter.references
    typed = options.all_present or (options.absent_above, options.present_above) != (None, None)
    # So many that some probably lack a class.
    is_folder = len(job.stems) >= FOLDER_IMAGES and references.can_decide and not typed
    learns = is_folder or bool(options.review) or has_answers(job.answers, job.stems)
    above = FOLDER_ABOVE if learns and options.present_above is None else options.present_above
    return Decision(job.out, job.stems, references, above, job.answers, learns)


def _rule(decision):
    """What decides which classes are left out, in a sentence."""
    left_out = f'a class is left out of images that show it with a probability below {decision.above:g}'
    if has_answers(decision.answers, decision.stems):
        return f'with answers, {left_out}'
    return f'{left_out}; if every image shows every class, type --all-present'


def _stream(segmenter, paths, decision, outcomes):
    """(Segmentation, photograph) of photographs, with the classes that they are to have after earlier outcomes."""
    wanted = decision.wanted(outcomes)
    return segmenter.stream_photos(
        paths, on_error='yield', present_above=decision.above, answers=[wanted[path] for path in paths]
    )


def _review(segmenter, run, job, decision, outcomes) -> None:
    """Asks, if --review was typed, and segments those photographs again that have other classes after all were seen."""
    if job.options.review:
        ask(decision, outcomes, most=job.options.review)
    changed = decision.changed(outcomes)
    if changed:
        print(f'what is left out changes in {len(changed)} image(s)', flush=True)
        _write_all(_stream(segmenter, changed, decision, outcomes), changed, run['id'], job, outcomes)


def _about(segmenter) -> dict[str, Any]:
    """The settings that all results of one folder have in common."""
    from panet_jax.segmenter.outputs import SAME

    settings = {'classes': list(segmenter.classes), **segmenter.settings}
    return {name: settings[name] for name in SAME}


def _run(segmenter, options, decision) -> dict[str, Any]:
    """What predictions.json says of a run; its id differs if the results may differ."""
    from panet_jax.segmenter.fingerprint import fingerprint

    thresholds = {'absent_above': options.absent_above, 'present_above': decision.above}
    references = {
        'references': options.support,
        'negatives': options.negative,
        'folders': options.support_dir,
        'segmenter': options.segmenter,
    }
    # Not part of the id: a photograph that keeps its classes is not segmented again if something else decides.
    decided = {'decided_by': decision.decided_by}
    return {'id': fingerprint(segmenter, *thresholds.values()), **references, **thresholds, **decided}


def _runs(earlier, run, entries) -> list[dict[str, Any]]:
    """The runs of which there are results, and this one."""
    used = {(entry.get('run'), decided_by(entry)) for entry in entries} - {(run['id'], run['decided_by'])}
    # Their pictures are removed, or replaced by those of this run.
    others = [({**other, 'pictures': []}, (other['id'], other.get('decided_by'))) for other in earlier.get('runs', [])]
    # Runs of earlier versions do not say what decided, and a review may decide otherwise: there the id is enough.
    unclear = {name for name, by in used if (name, by) not in [key for _, key in others]}
    return [*(other for other, key in others if key in used or key[0] in unclear), run]


def _write_results(
    job: Job,
    about: Mapping[str, Any],
    run: Mapping[str, Any],
    outcomes: Mapping[Path, dict[str, Any]],
    decision: Decision,
) -> dict[str, Any]:
    """Writes predictions.json: earlier results of other photographs, and these. Returns its content."""
    from panet_jax.segmenter.outputs import RESULTS, together

    after = decision.after(outcomes)

    def entry(path):
        own = decision.answers.get(job.stems[path])
        return {**outcomes[path], **({'answers': own} if own else {}), **after.get(path, {})}

    results = together(job.earlier, about, [entry(path) for path in job.stems if path in outcomes])
    results = {**about, 'runs': _runs(job.earlier, run, results['images']), **results}
    write_json(job.out / RESULTS, results)
    return results


def _entries_before(run: str, job: Job) -> dict[Path, dict[str, Any]]:
    """The entries of the photographs that the same command has segmented, if all their files are there."""
    entries = {path: _entry_before(path, stem, run, job) for path, stem in job.stems.items()}
    return {path: entry for path, entry in entries.items() if entry}


def _done_before(entries: Mapping[Path, dict[str, Any]], job: Job, decision: Decision) -> dict[Path, dict[str, Any]]:
    """Those of the entries that stay as they are.

    Photographs that go through the encoder together are done again together: the last bits of the results depend on it.
    """
    changed = decision.changed(entries)
    paths, size = list(job.stems), job.options.batch
    steps = [paths[first : first + size] for first in range(0, len(paths), size)]
    whole = [step for step in steps if all(path in entries and path not in changed for path in step)]
    done = {path: entries[path] for step in whole for path in step}
    if done:
        print(f'{len(done)} image(s) were done before and stay as they are', flush=True)
    return done


def _entry_before(path: Path, stem: str, run: str, job: Job) -> dict[str, Any] | None:
    from panet_jax.export.records import read_entries
    from panet_jax.segmenter.draft_files import file_stamp

    record = read_entries(job.out, stem)
    if not record or (record.get('run'), record.get('stamp')) != (run, file_stamp(path)):
        return None
    if 'presence' in record['entry'] and 'descriptor' not in record:  # as an earlier version wrote it
        return None
    endings = ['.png', '-overlay.jpg', *(['.npz'] if job.options.probabilities else [])]
    is_whole = all((job.out / f'{stem}{ending}').is_file() for ending in endings)
    return {'image': str(path), **record['entry']} if is_whole else None


def _write_all(results, paths: Sequence[Path], run: str, job: Job, outcomes: dict[Path, dict[str, Any]]) -> None:
    """Writes the results of photographs in threads. Adds the entry of each, or its error, to `outcomes` at once."""
    from panet_jax.segmenter.outputs import numbers_of
    from panet_jax.segmenter.stream import THREADS

    numbers = numbers_of(job.stems, job.earlier)

    def finish(item):
        path, (segmentation, photo) = item
        outcomes[path] = {'image': str(path), **_write(path, segmentation, photo, numbers[path], run, job)}

    items = zip(paths, results, strict=True)
    with contextlib.closing(in_threads(finish, items, THREADS, ahead=1)) as finished:  # each holds a photograph
        for _ in progress(finished, 'segmenting', len(paths)):
            pass


def _write(path: Path, segmentation, photo, number: int, run: str, job: Job) -> dict[str, Any]:
    """Writes the results of a photograph. Returns its entry or its error."""
    from panet_jax.segmenter.draft_files import write_draft

    options = job.options
    try:
        if isinstance(segmentation, InputError):
            raise segmentation
        if options.absent_above is not None:
            segmentation = segmentation.present(options.absent_above)
        place = {'out': job.out, 'root': job.root, 'stem': job.stems[path], 'number': number, 'run': run}
        return write_draft(path, segmentation, photo, **place, probabilities=options.probabilities)
    except InputError as error:
        return {'error': str(error)}


def _export(results: Mapping[str, Any], job: Job) -> None:
    """Writes the formats and the sheet that were asked for, of all results in the folder."""
    from panet_jax.export.formats import export_labels
    from panet_jax.export.names import FORMATS
    from panet_jax.export.records import Records
    from panet_jax.segmenter.review.project import REVIEW

    options = job.options
    if options.format:
        records = Records(job.out, [Path(entry['labels']).stem for entry in results['images']], options.min_area)
        remarks = export_labels(
            *(job.out, lambda: progress(records(), 'exporting', len(records)), results['classes']),
            formats=options.format,
            image_root=records.image_root,
            polygons=options.polygons,
        )
        print(*(f'{form}: {job.out / FORMATS[form][-1]}' for form in dict.fromkeys(options.format)), *remarks, sep='\n')
        if (job.out / REVIEW).is_dir():
            print(
                f'these have the drafts, not what was decided in the review; type panet-jax demo --project={job.out} and export '
                'there'
            )
    if options.sheet:
        count = draw_sheet(options.sheet, results, job.out)
        print(f'{count} image(s) are drawn in {options.sheet}')


def _print_replaced(job, about):
    earlier = job.earlier
    made = ', '.join(f'{name} {earlier.get(name)}' for name in about if earlier.get(name) != about[name])
    if earlier['images'] and made:
        count = len(earlier['images'])
        print(f'{job.out} has the results of {count} image(s), made with {made}; they are replaced', flush=True)


def _print_done(out, entries, classes):
    from panet_jax.segmenter.outputs import RESULTS, images_with

    done = [entry for entry in entries if 'error' not in entry]
    print(f'{len(done)} image(s) in {out}: labels NAME.png, NAME-overlay.jpg, and {RESULTS}')
    print(', '.join(f'{name} is found in {count}' for name, count in images_with(classes, done).items()))


def _print_undecided(job, entries, decision):
    """Says, of a folder, what decides better, and of some images of a folder, that they alone decide nothing."""
    from panet_jax.method.answers import FOLDER_IMAGES

    options, count = job.options, sum('error' not in entry for entry in entries)
    if options.all_present or options.absent_above is not None:
        return
    if count < FOLDER_IMAGES:
        if decision.above is None and any('presence_after' in entry for entry in job.earlier['images']):
            print(
                f'fewer than {FOLDER_IMAGES} images were taken to show every class; of others in {job.out} classes were left '
                'out; name the whole folder to decide of these too'
            )
        return
    if not decision.references.can_decide:
        print(
            f'every image was taken to show every class: {options.segmenter} cannot decide, {why_undecided(options)}; if most '
            'images lack a class, give all references with --support, without --segmenter'
        )
    elif not has_answers(decision.answers, decision.stems):
        print(
            'a class may have been left out where it is, and found where it is not; --review asks about a few images, and learns'
        )


def _print_failed(entries):
    """Prints the errors of images that could not be segmented. Returns the exit status."""
    failed = [entry['error'] for entry in entries if 'error' in entry]
    if failed:
        print(f'{len(failed)} image(s) could not be segmented:')
        print(*(f'  {error}' for error in failed), sep='\n')
    return 1 if failed else 0
