"""A process that fails is named with its own error, and the others do not outlive it."""

import time
from pathlib import Path
from typing import Final

import pytest
from command_line import dddm
from several import write_shared
from toy_distributions import install

_FAULTY: Final = '''\
import os

import torch
from attrs import frozen
from dddm.errors import DataError
from dddm.interfaces.metric import Metric
from dddm.interfaces.plugin import Kind, hookimpl, option


@frozen(kw_only=True)
class Options:
    how: str = option("", help="What the last process does in its third step.")


class Faulty(Metric):
    """l1 that fails in the last of several processes."""

    def __init__(self, options):
        self.how, self.calls = options.how, 0

    def distance(self, *, estimate, target):
        self.calls += 1
        if os.environ["RANK"] == "1" and self.calls == 3:
            if self.how == "its own error":
                raise DataError("the seventh image is not an image", remedy="take it out")
            if self.how == "a bug":
                raise IndexError("nothing at 7")
            if self.how == "not a number":
                estimate = estimate * float("nan")
            if self.how == "end":
                os._exit(9)
        return (estimate - target).abs().flatten(1).mean(1)


@hookimpl
def dddm_register(registrar):
    registrar.add(
        Kind.METRIC, "faulty", target="faulty_metric:Faulty", options=Options,
        summary="A distance that fails.",
    )
'''
_SECONDS: Final = 60
_METRIC: Final = '[metric]\nuse = "pseudo-huber"\nc = 0.0043\n'


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("its own error", 7, "the seventh image is not an image"),
        ("not a number", 5, "not finite"),
        ("a bug", 4, "failed in distance: IndexError: nothing at 7"),
        ("end", 9, "exit code 9"),
    ],
)
def test_the_process_that_failed_is_named(tmp_path: Path, how: str, code: int, says: str) -> None:
    """Its number, its words, its exit code, once; the other one ends within seconds."""
    install(tmp_path / "site", "faulty", faulty_metric=("faulty", _FAULTY))
    write_shared(tmp_path, (_METRIC, f'[metric]\nuse = "faulty:faulty"\nhow = "{how}"\n'))
    began = time.monotonic()
    done = dddm("run", "tiny.toml", "--nproc", "2", cwd=tmp_path, PYTHONPATH=f"{tmp_path / 'site'}")
    assert time.monotonic() - began < _SECONDS
    assert done.returncode == code, done.stderr
    assert done.stderr.count(says) == 1, done.stderr
    assert "process 1" in done.stderr
    if how != "a bug":
        assert "Traceback" not in done.stderr
