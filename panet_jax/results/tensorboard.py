"""Events for TensorBoard: losses of a training, and evaluations by step with their pictures.

workdir/tensorboard/training             scalars of metrics.jsonl
workdir/tensorboard/evaluation-SETTING   scalars of results.jsonl, and sheets of pictures

Records are written with TensorBoard's RecordWriter. Its SummaryWriter would import TensorFlow if that is installed, and
the one of tensorboardX would import PyTorch.
"""

import io
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from panet_jax.disk.atomic import append_bytes, replacing
from panet_jax.disk.paths import AnyPath
from panet_jax.results.names import picture_name, setting_name

FOLDER = 'tensorboard'  # in a workdir
VERSION = 'brain.Event:2'  # version of the format, for the first record of a file
# The scalars of a row of results.
SCORES = ('mean_iou', 'binary_iou', 'background_iou', 'foreground_iou')


def begin_training_events(workdir: AnyPath, start: int) -> AnyPath:
    """Begins an event file for a training.

    Args:
        workdir: workdir of the training.
        start: last finished step, 0 for a new training. TensorBoard drops later steps of earlier files.

    Returns:
        The path of the file, for `add_training_events`.
    """
    path = workdir / FOLDER / 'training' / _new_name()
    with replacing(path) as temporary:
        temporary.write_bytes(_first_records(start + 1))
    return path


def add_training_events(path: AnyPath, step: int, values: Mapping[str, float]) -> None:
    """Adds the metrics of a step to the event file of a training.

    Args:
        path: the event file, as from `begin_training_events`.
        step: the step.
        values: {name: value}.
    """
    append_bytes(path, _record(step, [_scalar(f'training/{name}', value) for name, value in values.items()]))


def save_evaluation_events(workdir: AnyPath, rows: Sequence[dict[str, Any]], pictures: AnyPath) -> None:
    """Writes all evaluations of one setting into a new event file, which replaces the previous one.

    Args:
        workdir: workdir to write to.
        rows: evaluations on the same episodes by step, as from `comparable_results`.
        pictures: folder of the sheets; missing ones are left out.
    """
    folder = workdir / FOLDER / f'evaluation-{setting_name(rows[0])}'
    before = sorted(folder.glob('*tfevents*'))
    records = [_first_records(0), *(_record(row['checkpoint_step'], _values(row, pictures)) for row in rows)]
    # A new name: TensorBoard does not reread a file from its beginning.
    with replacing(folder / _new_name()) as temporary:
        temporary.write_bytes(b''.join(records))
    for old in before[:-1]:  # TensorBoard may be reading the last one; the new file makes its values void
        old.unlink(missing_ok=True)


def _new_name():
    """A name that sorts after those of earlier files, and that no other process uses."""
    return f'events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}'


def _values(row, pictures):
    """The scalars and the sheet of one row of results, as Summary.Values."""
    scores = {f'evaluation/{name}': row[name] for name in SCORES}
    scores |= {f'class_iou/{name}': value for name, value in row['class_iou'].items()}
    values = [_scalar(name, value) for name, value in scores.items() if value is not None]
    sheet = pictures / picture_name(row)
    return values + ([_picture('pictures', sheet)] if sheet.exists() else [])


def _first_records(step):
    """The first records of a file: the format, and a mark that voids the values of earlier files from `step` on."""
    now = time.time()
    session = SessionLog(status=SessionLog.START)
    return _packed(Event(wall_time=now, file_version=VERSION), Event(wall_time=now, step=step, session_log=session))


def _record(step, values):
    return _packed(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def _packed(*events):
    """The bytes of events in an event file, with their lengths and checksums."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    return file.getvalue()


def _scalar(name, value):
    return Summary.Value(tag=name, simple_value=value)


def _picture(name, path):
    """A PNG file as a Summary.Value."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        channels = len(image.getbands())
    return Summary.Value(
        tag=name, image=Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=data)
    )
