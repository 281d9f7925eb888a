"""Files of a run that are damaged end in one error that names the file, and draw no images."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import call, invoke, refused, write_tiny
from safetensors.torch import load_file, save_file

from dddm.support.files import sha256_of

EMA, STATE = "checkpoints/step-00000003/ema.safetensors", "checkpoints/step-00000003/state.json"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny(
        folder,
        ('[evaluate]\nfeatures = "pixels"\n', ""),
        ("epochs = 3", "epochs = 1"),
        ("batch_images = 250", "batch_images = 500"),
        ("channels = 8", "channels = 4"),
    )
    invoke("run", "tiny.toml", "--folder", "run", cwd=folder)
    return folder


def edit(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Damage to the tensors of a file."""

    def damage(path: Path) -> None:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return damage


def write(text: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_text(text, "utf-8")

    return damage


def without(key: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        contents = json.loads(path.read_text("utf-8"))
        del contents[key]
        path.write_text(json.dumps(contents), "utf-8")

    return damage


def flip_bit(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[1] ^= 0x80
    path.write_bytes(contents)


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("file", "damage", "command", "says"),
    [
        ("run.json", flip_bit, "sample", "run.json is damaged"),
        ("run.json", write(DEEP), "sample", "run.json is damaged: it is nested deeper"),
        ("run.json", write('{"classes": 3}'), "run", "run.json is damaged: 'classes'"),
        (EMA, edit(lambda all_: [t.fill_(torch.nan) for t in all_.values()]), "sample",
         "infinite or not a number"),
        (EMA, edit(lambda all_: all_.update({n: t.half() for n, t in all_.items()})), "sample",
         "torch.float16, not torch.float32"),
        (EMA, write("x" * 100), "sample", "ema.safetensors of checkpoint step-00000003"),
        (EMA, lambda path: path.write_bytes(b"\x80" + b"\0" * 7 + b"{" * 128), "sample",
         "ema.safetensors of checkpoint step-00000003 is damaged"),
        (STATE, write(DEEP), "sample", "state.json of checkpoint step-00000003 is damaged"),
        (STATE, without("step"), "sample", "state.json of checkpoint step-00000003 is damaged"),
        (STATE, without("position"), "run", "'position' is missing"),
        (STATE, without("log_bytes"), "run", "'log_bytes' is missing"),
    ],
)  # fmt: skip
def test_one_error_names_the_file(  # noqa: PLR0917 - pytest passes them by name
    tmp_path: Path,
    trained: Path,
    file: str,
    damage: Callable[[Path], None],
    command: str,
    says: str,
) -> None:
    """Checksums fit, so that what is read is judged and not they; the remedy is there."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "run" / file
    damage(path)
    manifest = path.parent / "manifest.json"
    if manifest.exists():
        known = json.loads(manifest.read_text("utf-8"))
        known[path.name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        manifest.write_text(json.dumps(known), "utf-8")
    words = {
        "sample": ("sample", "run", "--images", "2", "--out", "drawn"),
        "run": ("run", "tiny.toml", "--folder", "run"),
    }[command]
    error = refused(call(*words, cwd=tmp_path), says, "try: ", code=7)
    assert error.count("error: ") == 1
    assert not (tmp_path / "drawn").exists()
    report = call("report", "run", cwd=tmp_path)
    assert report.returncode == 0
    if file == "run.json":
        assert "run.json is damaged" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_a_run_json_that_was_removed_is_written_again(tmp_path: Path, trained: Path) -> None:
    """As the error's remedy says; samples can then be drawn."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    before = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    (tmp_path / "run" / "run.json").unlink()
    says = "write run.json again: dddm run run/recipe.toml --folder run"
    refused(call("sample", "run", cwd=tmp_path), says, code=2)
    invoke("run", "run/recipe.toml", "--folder", "run", cwd=tmp_path)
    after = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    for name in ("image_shape", "classes", "data_manifest", "versions", "machine", "processes"):
        assert after[name] == before[name]
    invoke("sample", "run", "--images", "2", cwd=tmp_path)
