"""Damages files of a finished run in every way it can think of, and reads them with every command.

Each trial copies a small run, damages one of its files, and calls `dddm.load(…).sample`, `sample`,
`evaluate`, `report`, `export` and `run` on it, in this process.  Checksums are made to fit where a
damaged checkpoint would otherwise be told by them alone.  A command may succeed, or end with one
error that names a remedy; a traceback, more than a few seconds or a gibibyte is a defect.

    python benchmarks/damaged_runs.py --files 2000
"""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, final

import click
import numpy as np
import torch
from attrs import frozen
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "toys"))

from command_line import write_tiny

from dddm.errors import DddmError
from dddm.support.files import sha256_of

_SECONDS: Final = 60
"""A command takes about one, `export` ten; this machine may be busy."""
_CODES: Final = {0, 2, 3, 4, 6, 7}
_REQUEST: Final = ("--images", "3", "--device", "cpu")
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "sample": ("sample", "run", *_REQUEST),
    "sample-best": ("sample", "run", "--best", *_REQUEST),
    "evaluate": ("evaluate", "run"),
    "report": ("report", "run"),
    "export": ("export", "run", "--format", "torch", "--out", "network.pt2"),
    "run": ("run", "tiny.toml", "--folder", "run", "--set", "train.epochs=2"),
}
QUICK: Final = tuple(name for name in COMMANDS if name != "export")
_EXPORTS: Final = 0.02
VALUES: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 10**30, 1e308, float("inf"), float("nan"), "", "x", "\ud800", [], {}, [[]],
    {"x": None}, [None],
)  # fmt: skip
DEEP: Final = 100_000

_PROGRESS: Final = """\
score_every_epochs = 1
score_images = 70
score_steps = [1]
sample_every_epochs = 1"""

Damage = Callable[[Path, random.Random], None]


def make_run(folder: Path, *, store: str = "ram") -> None:
    """A recipe `tiny.toml` and its finished run `run`: one epoch of three steps."""
    write_tiny(
        folder,
        ("channels = 8", "channels = 4"),
        ("epochs = 3", f"epochs = 1\n{_PROGRESS}"),
        ("batch_images = 250", "batch_images = 500"),
        ("checkpoint_every_epochs = 2", "checkpoint_every_epochs = 1"),
        ('use = "ram"', f'use = "{store}"'),
    )  # fmt: skip
    code, error = call(("run", "tiny.toml", "--folder", "run"), cwd=folder)
    assert code == 0, error


def call(words: tuple[str, ...], *, cwd: Path) -> tuple[int, str]:
    """Exit code and standard error of a command in this process."""
    from dddm.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as ended:
            return int(ended.code or 0), err.getvalue()
    raise AssertionError("main always exits")


def load_and_sample(folder: Path) -> tuple[int, str]:
    """The same of `dddm.load(…).sample(…)`."""
    import dddm

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            dddm.load(folder / "run", device="cpu").sample(images=2)
        except DddmError as error:
            return error.exit_code, str(error)
        except Exception:  # noqa: BLE001 - it is what is looked for
            return 1, traceback.format_exc()
    return 0, "\n".join(str(one.message) for one in told)


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Interrupt what takes longer."""

    def on_alarm(_number: int, _frame: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------------------- bytes of any file


def _truncate(path: Path, at: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: at.randrange(max(len(data), 1))])


def _empty(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def _flip(path: Path, at: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[at.randrange(len(data))] ^= 1 << at.randrange(8)
    path.write_bytes(data)


def _flip_near_the_start(path: Path, at: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[at.randrange(min(len(data), 200))] ^= 1 << at.randrange(8)
    path.write_bytes(data)


def _noise(path: Path, at: random.Random) -> None:
    path.write_bytes(at.randbytes(2000))


def _zeros(path: Path, _: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _append(path: Path, at: random.Random) -> None:
    path.write_bytes(path.read_bytes() + at.randbytes(40))


def _remove(path: Path, _: random.Random) -> None:
    path.unlink()


def _folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _circle(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


ANY: Final[tuple[Damage, ...]] = (
    _truncate, _empty, _flip, _flip_near_the_start, _noise, _zeros, _append, _remove, _folder,
    _pipe, _endless, _circle,
)  # fmt: skip

# ---------------------------------------------------------------------------------------- JSON


def _nested(path: Path, at: random.Random) -> None:
    path.write_text(at.choice(["[", '{"a":']) * DEEP, encoding="ascii")


def _nested_and_closed(path: Path, _: random.Random) -> None:
    path.write_text("[" * DEEP + "]" * DEEP + "\n", encoding="ascii")


def _other_root(path: Path, at: random.Random) -> None:
    path.write_text(at.choice(["null", "[]", "3", '"x"', "{}", "[3]", "1e400"]) + "\n", "ascii")


def _nested_value(path: Path, at: random.Random) -> None:
    contents = _read(path)
    places = list(_places(contents))
    if places:
        table, key = at.choice(places)
        table[key] = "DEEP"
    text = _write(path, contents).replace('"DEEP"', "[" * DEEP + "]" * DEEP)
    path.write_text(text, encoding="utf-8")


def _drop_key(path: Path, at: random.Random) -> None:
    contents = _read(path)
    places = list(_places(contents))
    if places:
        table, key = at.choice(places)
        del table[key]
    path.write_text(_write(path, contents), encoding="utf-8")


def _other_value(path: Path, at: random.Random) -> None:
    contents = _read(path)
    places = list(_places(contents))
    if places:
        table, key = at.choice(places)
        table[key] = at.choice(VALUES)
    path.write_text(_write(path, contents), encoding="utf-8")


def _overflow(path: Path, at: random.Random) -> None:
    contents = _read(path)
    places = [(table, key) for table, key in _places(contents)
              if type(table[key]) in {int, float}]  # fmt: skip
    if places:
        table, key = at.choice(places)
        table[key] = "BIG"
    big = at.choice(["1e400", "-1e400", "9" * 5000, "NaN"])
    path.write_text(_write(path, contents).replace('"BIG"', big), encoding="utf-8")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if _by_lines(path) else json.loads(text)


def _write(path: Path, contents: Any) -> str:
    if _by_lines(path):
        return "".join(json.dumps(line) + "\n" for line in contents)
    return json.dumps(contents, indent=1)


def _by_lines(path: Path) -> bool:
    return path.suffix == ".jsonl"


OF_JSON: Final[tuple[Damage, ...]] = (
    _nested, _nested_and_closed, _other_root, _nested_value, _drop_key, _drop_key, _other_value,
    _other_value, _other_value, _overflow, _overflow,
)  # fmt: skip

# ---------------------------------------------------------------------------------- safetensors


def _header(path: Path, header: bytes, *, size: int | None = None) -> None:
    path.write_bytes(struct.pack("<Q", len(header) if size is None else size) + header)


def _long_header(path: Path, at: random.Random) -> None:
    _header(path, b"{}", size=at.choice([2**63, 2**40, 100_000_000, 3]))


def _deep_header(path: Path, _: random.Random) -> None:
    _header(path, b'{"a":' * DEEP)


def _words_in_header(path: Path, at: random.Random) -> None:
    one: dict[str, Any] = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    values: list[Any] = [None, "x", [-1], [2**62, 4], [0, 2**63], [8, 0], 3]
    one[at.choice(list(one))] = at.choice(values)
    _header(path, json.dumps({"a": one}).encode() + bytes(8))


def _edit(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(path)
    if tensors:
        change(tensors)
    save_file(tensors, path)


def _not_a_number(path: Path, _: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for tensor in tensors.values():
            if tensor.is_floating_point():
                tensor.fill_(float("nan"))

    _edit(path, change)


def _one_infinite(path: Path, at: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensor = tensors[at.choice(sorted(tensors))]
        if tensor.is_floating_point() and tensor.numel():
            tensor.view(-1)[0] = float("inf")

    _edit(path, change)


def _other_type(path: Path, at: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = at.choice(sorted(tensors))
        kind = at.choice([torch.int64, torch.float64, torch.float16, torch.bool, torch.uint8])
        tensors[name] = tensors[name].to(kind)

    _edit(path, change)


def _other_type_of_all(path: Path, at: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        kind = at.choice([torch.int32, torch.float64, torch.float16, torch.bool])
        tensors.update({name: tensor.to(kind) for name, tensor in tensors.items()})

    _edit(path, change)


def _other_shape(path: Path, at: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = at.choice(sorted(tensors))
        tensors[name] = at.choice([
            tensors[name].reshape(-1), tensors[name][None], torch.zeros(0), torch.zeros(()),
        ]).contiguous()  # fmt: skip

    _edit(path, change)


def _rename(path: Path, at: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = at.choice(sorted(tensors))
        tensors[at.choice(["x", "0.x.y", "-1.rows", "9" * 30 + ".rows", ".", "0.exp_avg#int"])] = (
            tensors.pop(name)
        )

    _edit(path, change)


def _fewer(path: Path, at: random.Random) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[at.choice(sorted(tensors))]

    _edit(path, change)


OF_TENSORS: Final[tuple[Damage, ...]] = (
    _long_header, _deep_header, _words_in_header, _not_a_number, _one_infinite, _other_type,
    _other_type_of_all, _other_shape, _rename, _fewer,
)  # fmt: skip

# ------------------------------------------------------------------------------------------ npz


def _other_arrays(path: Path, at: random.Random) -> None:
    images, labels = np.zeros((70, 8, 8, 1), np.uint8), np.arange(70) % 10
    found: dict[str, Any] = {"arr_0": images, "arr_1": labels}
    found.update(
        at.choice([
            {"arr_0": images.astype(np.float32)}, {"arr_0": images[:3]}, {"arr_0": images[..., 0]},
            {"arr_0": np.array([{}], object)}, {"arr_1": labels * 10**9}, {"arr_1": -labels},
            {"arr_1": labels.astype(np.float64)}, {"arr_0": images.repeat(3, -1)},
            {"arr_0": np.zeros((70, 0, 8, 1), np.uint8)}, {"arr_1": labels + 10},
            {"arr_0": np.zeros((70, 9, 8, 1), np.uint8)}, {"arr_0": np.zeros((), np.uint8)},
            {"arr_0": np.zeros((70, 8, 8, 0), np.uint8)},
        ])
    )  # fmt: skip
    at.choice([np.savez, np.savez_compressed])(path, **found)


def _lying_header(path: Path, at: random.Random) -> None:
    rows = at.choice([2**40, 2**62, -1, 10**30])
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (rows, 8, 8, 1)}
    )
    import zipfile

    kind = at.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("arr_0.npy", header.getvalue() + bytes(500))


OF_ARRAYS: Final[tuple[Damage, ...]] = (_other_arrays, _other_arrays, _lying_header)

# ---------------------------------------------------------------------------------------- trials

KINDS: Final[dict[str, tuple[Damage, ...]]] = {
    ".json": OF_JSON, ".jsonl": OF_JSON, ".safetensors": OF_TENSORS, ".npz": OF_ARRAYS,
}  # fmt: skip


def make_checksums_fit(checkpoint: Path) -> None:
    """Write the manifest again for the files as they are now."""
    manifest = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(checkpoint.iterdir())
        if path.name != "manifest.json" and path.is_file()
    }
    (checkpoint / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")


@final
@frozen(kw_only=True)
class Defect:
    """What a command should not have done."""

    trial: int
    file: str
    damage: str
    command: str
    what: str


def trial(number: int, *, seed: int, run: Path, only: str | None) -> Iterator[Defect | str]:
    """Damage one file; the defects, and for each command how it ended."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copytree(run, folder, dirs_exist_ok=True)
        files = sorted(
            path
            for path in (folder / "run").rglob("*")
            if path.is_file() and (only is None or only in str(path))
        )
        path = chance.choice(files)
        damages = (*ANY, *KINDS.get(path.suffix, ()) * 2)
        damage = chance.choice(damages)
        fitted = path.parent.name.startswith("step-") and chance.random() < 0.8
        damage(path, chance)
        if fitted and path.is_file() and not path.is_symlink() and path.name != "manifest.json":
            make_checksums_fit(path.parent)
        name = path.relative_to(folder / "run").as_posix()
        words = f"{damage.__name__.strip('_')}{' (fitted)' if fitted else ''}"
        pristine = folder / "pristine"
        shutil.copytree(folder / "run", pristine, symlinks=True, copy_function=_copy)
        # All others are read alike by `export`, which is slow.
        commands = ["load", *COMMANDS] if chance.random() < _EXPORTS else ["load", *QUICK]
        for command in commands:
            shutil.rmtree(folder / "run")
            shutil.copytree(pristine, folder / "run", symlinks=True, copy_function=_copy)
            began, before = time.perf_counter(), _peak()
            try:
                with limited(_SECONDS):
                    code, said = (
                        load_and_sample(folder)
                        if command == "load"
                        else call(COMMANDS[command], cwd=folder)
                    )
            except BaseException:  # noqa: BLE001 - it is what is looked for
                code, said = 1, traceback.format_exc()
            what = None
            if code not in _CODES or "Traceback" in said:
                what = f"exit {code}: {said[-1500:]}"
            elif code and "try:" not in said:
                what = f"exit {code} without a remedy: {said[-500:]}"
            elif _peak() - before > 1 << 30:
                what = f"{(_peak() - before) >> 20} MiB"
            elif time.perf_counter() - began > _SECONDS:
                what = f"{time.perf_counter() - began:.0f} s"
            if what is not None:
                yield Defect(trial=number, file=name, damage=words, command=command, what=what)
            yield f"{command}: exit {code}"


def _copy(source: str, target: str) -> None:
    """Also of named pipes."""
    if Path(source).is_file() or Path(source).is_symlink():
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        os.mkfifo(target)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@click.command()
@click.option("--files", default=2000, help="How many to damage, each in a run of its own.")
@click.option("--seed", default=0)
@click.option("--first", default=0, help="Number of the first trial, to repeat one.")
@click.option("--only", help="A part of the paths of files to damage.")
def main(files: int, seed: int, first: int, only: str | None) -> None:
    """Damage files, and print what commands made of them."""
    counted: Counter[str] = Counter()
    defects: list[Defect] = []
    with tempfile.TemporaryDirectory() as made:
        runs = []
        for store in ("ram", "mmap"):
            runs.append(Path(made) / store)
            runs[-1].mkdir()
            make_run(runs[-1], store=store)
        for number in range(first, first + files):
            for found in trial(number, seed=seed, run=runs[number % len(runs)], only=only):
                if isinstance(found, Defect):
                    defects.append(found)
                    print(
                        f"{found.trial} {found.file}, {found.damage}: {found.command}: "
                        f"{found.what}",
                        flush=True,
                    )
                else:
                    counted[found] += 1
            if (number + 1) % 100 == 0:
                print(f"{number + 1 - first} files, {len(defects)} defects", flush=True)
    for name, count in sorted(counted.items()):
        print(f"  {name}: {count}")
    print(f"{files} damaged files, {counted.total()} commands, {len(defects)} defects")
    print(f"memory: at most {_peak() >> 20} MiB")
    if defects:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
