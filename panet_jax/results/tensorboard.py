"""What TensorBoard shows of a run: losses during training, evaluations by step with their pictures.

workdir/tensorboard/training             scalars of metrics.jsonl
workdir/tensorboard/evaluation-SETTING   scalars of results.jsonl, and sheets of pictures

The records are TensorBoard's own, but not its SummaryWriter: that one imports TensorFlow where it is installed, and
the one of tensorboardX imports PyTorch.
"""

import io
import os
import socket
import time

from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from panet_jax.disk.atomic import append, replacing
from panet_jax.disk.paths import workdir_path
from panet_jax.results.names import picture_name, setting_name

FOLDER = 'tensorboard'  # in a workdir
VERSION = 'brain.Event:2'  # the first record of every event file says so
# The fields of a row of results that are shown.
SCORES = ('mean_iou', 'binary_iou', 'background_iou', 'foreground_iou')


def begin_training_events(workdir, start):
    """Begins an event file for a training.

    Args:
        workdir: workdir of the training.
        start: step after which the training begins or goes on. TensorBoard drops what earlier files say of later steps.

    Returns:
        The path of the file, for `add_training_events`.
    """
    path = workdir_path(workdir) / FOLDER / 'training' / _new_name()
    with replacing(path) as temporary:
        temporary.write_bytes(_first_records(start + 1))
    return path


def add_training_events(path, step, values):
    """Adds {name: float} of a step to a training's event file."""
    append(path, _record(step, [_scalar(f'training/{name}', value) for name, value in values.items()]))


def save_evaluation_events(workdir, rows, pictures):
    """Writes all evaluations of one setting into one event file, which replaces the one before.

    Args:
        workdir: workdir to write to.
        rows: results on the same episodes by step, as from `comparable_results`.
        pictures: folder of the sheets, a path as from `workdir_path`; missing ones are left out.
    """
    folder = workdir_path(workdir) / FOLDER / f'evaluation-{setting_name(rows[0])}'
    before = sorted(folder.glob('*tfevents*'))
    records = [_first_records(0), *(_record(row['checkpoint_step'], _values(row, pictures)) for row in rows)]
    # A new name, because TensorBoard does not read a file again from its beginning.
    with replacing(folder / _new_name()) as temporary:
        temporary.write_bytes(b''.join(records))
    for old in before[:-1]:  # the last one may be read just now; it is void from here on
        old.unlink(missing_ok=True)


def _new_name():
    """A name that sorts after those of earlier files, and that no other process makes."""
    return f'events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}'


def _values(row, pictures):
    """The scalars and the sheet of one row of results, as Summary.Values."""
    scores = {f'evaluation/{name}': row[name] for name in SCORES}
    scores |= {f'class_iou/{name}': value for name, value in row['class_iou'].items()}
    values = [_scalar(name, value) for name, value in scores.items() if value is not None]
    sheet = pictures / picture_name(row)
    return values + ([_picture('pictures', sheet)] if sheet.exists() else [])


def _first_records(step):
    """What a file begins with: the format, and that nothing known from `step` on is valid."""
    now = time.time()
    session = SessionLog(status=SessionLog.START)
    return _packed(Event(wall_time=now, file_version=VERSION), Event(wall_time=now, step=step, session_log=session))


def _record(step, values):
    return _packed(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def _packed(*events):
    """Events as the bytes of an event file: with their lengths and checksums."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    return file.getvalue()


def _scalar(name, value):
    return Summary.Value(tag=name, simple_value=value)


def _picture(name, path):
    """A PNG as a Summary.Value, as it is."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        channels = len(image.getbands())
    return Summary.Value(
        tag=name, image=Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=data)
    )
