"""The conformance kit writes into no tracker of the user's."""

import os
import socket
from pathlib import Path

import pytest

from dddm.testing.offline import offline


def test_nothing_of_this_machine_or_another_is_reached(tmp_path: Path) -> None:
    """A server that listens gets no connection within, and one afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with offline(tmp_path):
            with socket.socket() as one, pytest.raises(OSError, match="without network"):
                one.connect(address)
            with pytest.raises(OSError, match="without network"):
                socket.create_connection(address, timeout=5)
            with pytest.raises(OSError, match="without network"):
                socket.getaddrinfo("example.org", 443)
        socket.create_connection(address, timeout=5).close()


def test_trackers_are_switched_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own settings are back afterwards."""
    monkeypatch.setenv("WANDB_MODE", "online")
    with offline(tmp_path):
        assert os.environ["WANDB_MODE"] == "offline"
        assert os.environ["MLFLOW_TRACKING_URI"] == tmp_path.as_uri()
    assert os.environ["WANDB_MODE"] == "online"
    assert "MLFLOW_TRACKING_URI" not in os.environ
