"""What TensorBoard shows of a run: its losses as they come, its evaluations by step, their pictures.

workdir/tensorboard/training             scalars of metrics.jsonl
workdir/tensorboard/evaluation-SETTING   scalars of results.jsonl, and sheets of pictures

TensorBoard's own records and messages are written here, but not by its writer: that one imports
TensorFlow where it is installed, and tensorboardX's imports PyTorch.
"""

import os
import socket
import time
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from panet_jax.disk.atomic import replacing
from panet_jax.results.names import picture_name, setting_name

FOLDER = 'tensorboard'  # in a workdir
VERSION = 'brain.Event:2'  # what the first record of every event file says
# Of a row of results.
SCORES = ('mean_iou', 'binary_iou', 'background_iou', 'foreground_iou')


def begin_training_events(workdir, start):
    """Begins an event file for a training.

    Args:
        workdir: of the training.
        start: the step that it begins or goes on after. What earlier files say of later steps is not shown.

    Returns:
        The path, for `add_training_events`.
    """
    path = Path(workdir) / FOLDER / 'training' / _new_name()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'xb') as file:
        _begin(file, start + 1)
    return path


def add_training_events(path, step, values):
    """Adds {name: float} of a step to a training's event file."""
    with open(path, 'ab') as file:
        _write(file, step, [_scalar(f'training/{name}', value) for name, value in values.items()])


def save_evaluation_events(workdir, rows, pictures):
    """Writes all evaluations of one setting into one event file, in place of the one before.

    Args:
        workdir: to write to.
        rows: results on the same episodes by step, as from `comparable_results`.
        pictures: folder of the sheets; those that are not there are left out.
    """
    folder = Path(workdir) / FOLDER / f'evaluation-{setting_name(rows[0])}'
    before = sorted(folder.glob('*tfevents*'))
    path = folder / _new_name()  # a new one: TensorBoard does not read a file again from its beginning
    whole = path.with_name(path.name.replace('tfevents', 'unseen'))  # nor may it see half of one
    with replacing(whole) as temporary, open(temporary, 'xb') as file:
        _begin(file, 0)
        for row in rows:
            scores = {f'evaluation/{name}': row[name] for name in SCORES}
            scores |= {f'class_iou/{name}': value for name, value in row['class_iou'].items()}
            values = [_scalar(name, value) for name, value in scores.items() if value is not None]
            sheet = Path(pictures) / picture_name(row)
            _write(file, row['checkpoint_step'], values + ([_picture('pictures', sheet)] if sheet.exists() else []))
    whole.rename(path)
    for old in before[:-1]:  # the last one may be read just now; it is void from here on
        old.unlink(missing_ok=True)


def _new_name():
    """A name that sorts after those of earlier files, and is no other process's."""
    return f'events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}'


def _begin(file, step):
    """The first records of a file: the format, and that nothing known from `step` on is valid."""
    records = RecordWriter(file)
    now = time.time()
    records.write(Event(wall_time=now, file_version=VERSION).SerializeToString())
    session = SessionLog(status=SessionLog.START)
    records.write(Event(wall_time=now, step=step, session_log=session).SerializeToString())


def _write(file, step, values):
    event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
    RecordWriter(file).write(event.SerializeToString())


def _scalar(name, value):
    return Summary.Value(tag=name, simple_value=value)


def _picture(name, path):
    """A PNG as a Summary.Value, as it is."""
    with Image.open(path) as image:
        width, height = image.size
        channels = len(image.getbands())
    data = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=path.read_bytes())
    return Summary.Value(tag=name, image=data)
