"""Keeps checks from a user's trackers: no network, and the switches that trackers have for that."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn
from unittest import mock

_SWITCHES: Final = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "COMET_START_ONLINE": "0",
    "COMET_MODE": "offline",
    "NEPTUNE_MODE": "offline",
    "CLEARML_OFFLINE_MODE": "1",
    "AIM_ACCESS_LOGS": "0",
    "HF_HUB_OFFLINE": "1",
}
_FOLDERS: Final = ("WANDB_DIR", "COMET_OFFLINE_DIRECTORY", "CLEARML_CACHE_DIR")


@contextmanager
def offline(folder: Path) -> Iterator[None]:
    """Within it, trackers work offline in `folder`, and this process reaches no other machine.

    Not this one's servers either: a tracker may be among them.  Sockets of the file system work.
    """
    where = {name: str(folder) for name in _FOLDERS}
    where["MLFLOW_TRACKING_URI"] = folder.as_uri()
    where["TRACKIO_DIR"] = str(folder)
    real = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}

    def guarded(name: str) -> Any:
        def call(self: socket.socket, *given: Any) -> Any:
            if self.family != getattr(socket, "AF_UNIX", None):
                _refuse()
            return real[name](self, *given)

        return call

    with (
        mock.patch.dict(os.environ, {**_SWITCHES, **where}),
        mock.patch.multiple(socket.socket, **{name: guarded(name) for name in real}, create=True),
        mock.patch.object(socket, "getaddrinfo", _refuse),
    ):
        yield


def _refuse(*_given: Any, **_named: Any) -> NoReturn:
    raise OSError("the conformance kit runs without network: let the observer work offline, too")
