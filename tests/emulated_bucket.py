"""A bucket that the emulator serves as Google does: every object has a generation, and conditions on it are heeded.

The emulator alone says no generation when an object is read and overwrites whatever a condition says. TensorStore,
which writes our checkpoints, needs both: after a connection that broke it reads, then writes on that condition.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus, server

import pytest
from gcp_storage_emulator import server as emulator


@contextlib.contextmanager
def emulated_bucket(name: str) -> Iterator[dict[str, str]]:
    """Serves an empty bucket; yields the environment variables that lead clients to it, set in this process too."""
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    places = dict.fromkeys(('STORAGE_EMULATOR_HOST', 'TENSORSTORE_GCS_HTTP_URL'), f'http://localhost:{port}')
    # No server of Google is asked for a project, or what kind of bucket this is.
    places |= {'GOOGLE_CLOUD_PROJECT': 'test', 'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false'}
    with pytest.MonkeyPatch.context() as patch:
        routes = [
            (path, {verb: with_generations(answer) for verb, answer in of.items()}) for path, of in emulator.HANDLERS
        ]
        patch.setattr(emulator, 'HANDLERS', routes)
        # Connections wait; with the default of five, those beyond were broken off.
        patch.setattr(server.HTTPServer, 'request_queue_size', 128)
        # A client that is killed breaks its connections off; that is no error of the server's.
        patch.setattr(server.HTTPServer, 'handle_error', lambda *_: None)
        for variable, value in places.items():
            patch.setenv(variable, value)
        with emulator.create_server('localhost', port, in_memory=True, default_bucket=name):
            yield places


def with_generations(answer: Callable) -> Callable:
    """A request's handler, with Google's conditions before it and the object's generation in its response."""

    def answer_with_generation(request, response, storage):
        def generation() -> str:
            bucket = storage.objects.get(request.params.get('bucket_name'), {})
            name = request.params.get('object_id') or request.query.get('name', [''])[0]
            return bucket.get(name, {}).get('generation', '0')

        before = generation()
        if request.query.get('ifGenerationMatch', [before]) != [before]:
            response.status = HTTPStatus.PRECONDITION_FAILED
        elif request.query.get('ifGenerationNotMatch') == [before]:
            response.status = HTTPStatus.NOT_MODIFIED
        else:
            answer(request, response, storage)
        response['x-goog-generation'] = generation()

    return answer_with_generation
