"""Lets every write of every command fail once: no space on the disk, or no permission.

A first run of a command counts what it asks of the system that changes a disk: files opened to be
written, folders made, renames, truncations, syncs, rows of a store, files of tensors.  Then the
command is given as often as that, and each time another one of these fails.  It must end with one
error that says so (exit code 6), or do without what failed; a traceback is a defect.

    python benchmarks/failing_writes.py --each 1
"""

import builtins
import errno
import io
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

sys.path.insert(0, str(Path(__file__).parent))

import kill_and_resume
from kill_and_resume import Setting, import_everything, settings, start

_CODES: Final = {"full": errno.ENOSPC, "refused": errno.EACCES}
_WRITES: Final = os.O_WRONLY | os.O_RDWR


class Writes:
    """Counts writes under a folder; the one with a number fails."""

    def __init__(self, folder: Path, *, number: int | None, code: int) -> None:
        self.folder, self.number, self.code = str(folder.resolve()), number, code
        self.done = 0

    def count(self, what: object) -> None:
        """One more, to a path or an open file."""
        try:
            path = str(Path(f"/proc/self/fd/{what}").readlink() if type(what) is int else what)
        except OSError:
            return
        inside = os.path.abspath(path).startswith(self.folder)  # noqa: PTH100 - no link is followed
        if not inside or path.endswith("output.txt"):
            return
        self.done += 1
        if self.done == self.number:
            raise OSError(self.code, os.strerror(self.code), path)

    def patch(self) -> None:
        """From here on in this process."""
        for name in ("mkdir", "replace", "rename", "ftruncate", "fsync", "fdatasync", "pwrite"):
            setattr(os, name, self._counting(getattr(os, name)))
        self._patch_open()
        import dddm.support.checked_tensors as checked
        from dddm.training import checkpoint

        for module in (checked, checkpoint):
            vars(module)["save_file"] = self._saving(vars(module)["save_file"])

    def _saving(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def save_file(tensors: Any, path: Any, *given: Any, **named: Any) -> Any:
            self.count(path)
            return real(tensors, path, *given, **named)

        return save_file

    def _counting(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *given: Any, **named: Any) -> Any:
            self.count(first)
            return real(first, *given, **named)

        return call

    def _patch_open(self) -> None:
        real_open, real_os_open = io.open, os.open

        def open_file(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            if set(mode) & set("wax+"):
                self.count(file)
            return real_open(file, mode, *given, **named)

        def os_open(path: Any, flags: int, *given: Any, **named: Any) -> int:
            if flags & _WRITES:
                self.count(path)
            return real_os_open(path, flags, *given, **named)

        builtins.open = io.open = open_file
        os.open = os_open


def give(setting: Setting, folder: Path, *, number: int | None, code: int) -> tuple[int, int, str]:
    """Exit code, how many writes there were, and what the command printed."""
    counted = folder.parent / "writes"
    output = folder / "output.txt"
    output.unlink(missing_ok=True)

    def before() -> None:
        writes = Writes(folder, number=number, code=code)
        writes.patch()
        leave = os._exit

        def exit_counted(status: int) -> None:
            counted.write_text(str(writes.done))
            leave(status)

        os._exit = exit_counted  # type: ignore[assignment]

    codes, killed = kill_and_resume.wait(
        kill_and_resume.fork(setting, folder, before=before), seconds=300
    )
    told = output.read_text(errors="replace")
    return -1 if killed else min(codes), int(counted.read_text()), told


@click.command()
@click.option("--each", default=1, help="Try every n-th write only.")
@click.option("--only", default="", help="A part of the settings' names.")
@click.option("--seed", default=0)
def main(each: int, only: str, seed: int) -> None:
    """Fail every write once, and print what was found."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import_everything()
    chance = random.Random(seed)  # noqa: S311 - no secret
    base = Path(tempfile.mkdtemp(prefix="dddm-writes-"))
    ready: dict[tuple[str, ...], Path] = {}
    counted: Counter[str] = Counter()
    defects = 0
    for setting in [one for one in settings() if one.processes == 1 and only in str(one)]:
        folder = base / "at-work"
        start(setting, folder, ready)
        code, total, told = give(setting, folder, number=None, code=0)
        assert code == 0, told
        for number in range(1 + chance.randrange(each), total + 1, each):
            kind = chance.choice(sorted(_CODES))
            shutil.rmtree(folder)
            start(setting, folder, ready)
            code, _, told = give(setting, folder, number=number, code=_CODES[kind])
            counted[f"exit code {code}"] += 1
            wrong = code not in {0, 6} or "Traceback" in told
            if wrong or (code == 6 and told.count("error: ") != 1):
                defects += 1
                print(f"{setting}, write {number} of {total}, {kind}: exit code {code}")
                print(told[-1500:], flush=True)
        shutil.rmtree(folder)
        print(f"{setting}: {total} writes, {defects} defects so far", flush=True)
    print(f"{sum(counted.values())} failing writes, {defects} defects; {dict(counted)}")
    shutil.rmtree(base)
    if defects:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
