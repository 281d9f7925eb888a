"""Runs that travel: exported, pushed, downloaded, sampled from, verified, and tampered with."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import call, dddm, invoke, refused, succeeded, write_tiny
from hub_server import TOKEN, Hub, serving_hub
from safetensors.torch import load_file, save_file

import dddm as package
from dddm.errors import DataError, EnvironmentProblem, UsageError
from dddm.training.portable import MANIFEST, write_list

yaml = pytest.importorskip("yaml")  # as huggingface_hub needs it

SCORES = 'features = "pixels"\nscores = ["fd", "nearest"]\nbaselines = []\n'
HUB = "hf://user/tiny"

# The Hub's client calls its HTTP client in a way that this one is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run`, scored, and `portable`, exported from it; not to be changed."""
    folder = tmp_path_factory.mktemp("place")
    write_tiny(folder, ('features = "pixels"\n', SCORES), ("epochs = 3", "epochs = 1"))
    start = f"train.start_from={folder / 'first'}"
    invoke("run", "tiny.toml", "--folder", "first", "--set", "sample=[]", cwd=folder)
    invoke("run", "tiny.toml", "--folder", "run", "--set", start, cwd=folder)
    invoke("export", "run", "--format", "run", "--out", "portable", cwd=folder)
    return folder


@pytest.fixture
def portable(place: Path, tmp_path: Path) -> Path:
    """A copy of the portable run, to be changed."""
    return Path(shutil.copytree(place / "portable", tmp_path / "portable"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub without repositories, and an empty cache; a token is at hand."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with serving_hub() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # another protocol
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.chdir(tmp_path)
        yield served


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def weights_of(folder: Path) -> Path:
    (path,) = folder.glob("checkpoints/*/ema.safetensors")
    return path


def images(run: Path | str, **words: Any) -> torch.Tensor:
    return package.load(run, device="cpu").sample(images=5, **words).tensor


# Exporting.


def test_what_is_exported(place: Path) -> None:
    """What is worth sharing and nothing else, each file with its hash; no path of this machine."""
    files = contents(place / "portable")
    sets = [f"samples/fixed-time-{k}/{n}" for k in (1, 2)
            for n in ("samples.npz", "grid.png", "manifest.json")]  # fmt: skip
    weights = [f"checkpoints/step-00000006/{name}"
               for name in ("ema.safetensors", "state.json", "manifest.json")]  # fmt: skip
    plain = ["README.md", "recipe.toml", "run.json", "scores.json", MANIFEST]
    assert sorted(files) == sorted([*plain, *weights, *sets])
    listed = json.loads(files.pop(MANIFEST))["files"]
    assert listed == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    assert str(place).encode() in (place / "run/recipe.toml").read_bytes()
    assert all(str(place).encode() not in data for data in files.values())


def test_it_is_a_run(place: Path, portable: Path) -> None:
    """Images are the run's bit for bit, in Python and from the command; so are scores."""
    for steps in (1, 2):
        assert torch.equal(images(portable, steps=steps), images(place / "run", steps=steps))
    invoke("sample", portable, "--images", "5", "--out", "five", cwd=portable)
    with np.load(portable / "five/samples.npz") as drawn:
        assert np.array_equal(drawn["arr_0"], images(portable).permute(0, 2, 3, 1).numpy())
    again = json.loads(invoke("evaluate", portable, "--json", cwd=portable))
    before = json.loads((place / "run/scores.json").read_text())
    assert [one["value"] for one in again] == [one["value"] for one in before]


def test_the_card_says_what_was_measured(place: Path) -> None:
    """Its metadata is what the Hub reads; its numbers are those of scores.json."""
    text = (place / "portable/README.md").read_text()
    _, front, body = text.split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["library_name"] == "dddm"
    assert card["metrics"] == ["fd"]
    assert "directly-denoising" in card["tags"]
    (results,) = card["model-index"][0]["results"]
    scores = json.loads((place / "run/scores.json").read_text())
    measured = [one["value"] for one in scores if one["measure"]["name"] == "fd"]
    assert [one["value"] for one in results["metrics"]] == measured
    assert results["dataset"]["name"] == "digits"
    resample = next(one for one in scores[0]["floors"] if one["name"] == "resample")
    (row,) = [line for line in body.splitlines() if line.startswith("| fixed-time | 1 |")][:1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert float(cells[2].replace(",", "")) == pytest.approx(scores[0]["value"], rel=0.01)
    assert float(cells[3].split()[0]) == pytest.approx(resample["value"], rel=0.01)
    assert 'dddm.load("portable")' in body
    assert "samples/fixed-time-1/grid.png" in body
    assert "## What is not known" in body
    assert "repeat training images" not in body  # `nearest` was measured


def test_half_the_bytes(place: Path, tmp_path: Path) -> None:
    """Float16: half the file, images within few levels, and the card says how far they are."""
    invoke(
        "export", "run", "--format", "run", "--precision", "float16", "--images", "7",
        "--out", tmp_path / "half", cwd=place,
    )  # fmt: skip
    half, whole = weights_of(tmp_path / "half"), weights_of(place / "portable")
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    stored, exact = load_file(half), load_file(whole)
    for name, tensor in exact.items():
        assert torch.equal(stored[name], tensor.half())
    drawn, first = images(tmp_path / "half"), images(place / "run")
    assert (drawn.int() - first.int()).abs().max() <= 2
    card = (tmp_path / "half/README.md").read_text()
    assert "stored as | float16" in card
    done = call("verify", tmp_path / "half", "--images", "70", cwd=place)
    succeeded(done)
    assert "7 of 7 images drawn again" in done.stdout
    # All 70 were drawn, so that the scores of 70 could be measured.
    assert done.stdout.count("verified") == 4
    # Seven images are not 70, also where a score has the name of a protocol, without a number.
    path = tmp_path / "half/scores.json"
    path.write_text(path.read_text().replace("@70", ""))
    write_list(tmp_path / "half")
    assert verdicts(tmp_path / "half")[0] == ["printed only"] * 4


def test_weights_that_give_other_images_are_not_exported(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dddm.evaluate.verify.IMAGE_LEVELS", -1.0)
    words = ("--format", "run", "--precision", "bfloat16", "--out", tmp_path / "half")
    refused(call("export", "run", *words, cwd=place), "choose another --precision", code=7)
    assert not (tmp_path / "half").exists()


def test_what_cannot_be_exported(place: Path, tmp_path: Path) -> None:
    words = ("export", "run", "--format", "run", "--out")
    refused(call(*words, tmp_path, cwd=place), "exists", code=2)
    new = tmp_path / "new"
    refused(call(*words, new, "--guidance", "2", cwd=place), "leave --ema", code=2)


def test_a_run_can_start_from_it_and_none_resumes(place: Path, portable: Path) -> None:
    """Its average is the next run's first network."""
    words = ("--set", f"train.start_from={portable}", "--set", "sample=[]")
    done = call("run", place / "tiny.toml", "--folder", "next", *words, cwd=portable.parent)
    succeeded(done)
    assert "after step 6" in done.stderr
    again = ("run", portable / "recipe.toml", "--folder", portable)
    refused(call(*again, cwd=place), "averaged weights alone", "train.start_from", code=7)


# On the Hub.


def push(place: Path, *words: str, repo: str = "user/tiny") -> Any:
    return call("push", "run", repo, *words, cwd=place)


def test_from_the_hub_and_back(place: Path, tmp_path: Path) -> None:
    """In processes of their own, with the environment variables that the Hub's client documents."""
    with serving_hub() as served:
        variables = {
            "HF_ENDPOINT": served.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
        }
        url = succeeded(dddm("push", "run", "user/tiny", cwd=place, **variables))
        assert url.startswith(f"{served.url}/user/tiny/commit/")
        done = dddm("sample", "--from", HUB, "--images", "5", cwd=tmp_path, **variables)
        assert succeeded(done).strip() == "drawn/user--tiny/fixed-time-1-seed0"
    with np.load(tmp_path / "drawn/user--tiny/fixed-time-1-seed0/samples.npz") as drawn:
        assert np.array_equal(drawn["arr_0"], images(place / "run").permute(0, 2, 3, 1).numpy())
    # Without a connection, from the cache; where the cache is empty, an error that says so.
    variables["HF_HUB_OFFLINE"] = "1"
    words = ("sample", "--from", HUB, "--images", "2", "--out", "two")
    succeeded(dddm(*words, cwd=tmp_path, **variables))
    assert (tmp_path / "two/grid.png").is_file()
    variables["HF_HOME"] = str(tmp_path / "empty")
    done = dddm("sample", "--from", HUB, cwd=tmp_path, **variables)
    refused(done, "cannot be reached", "connect this machine", code=6)


def test_only_what_is_needed_is_downloaded(place: Path, hub: Hub) -> None:
    succeeded(push(place))
    assert torch.equal(images(HUB), images(place / "run"))
    assert not [name for name in hub.got if name.startswith("samples") or name == "README.md"]
    assert set(contents(place / "portable")) == set(
        hub.repositories["user/tiny"].commits[hub.repositories["user/tiny"].branches["main"]]
    ) - {".gitattributes"}


def test_revisions(place: Path, hub: Hub) -> None:
    """A branch, and a commit that the branch has left; a push replaces what was pushed before."""
    succeeded(push(place, "--revision", "half", "--precision", "float16"))
    repository = hub.repositories["user/tiny"]
    assert set(repository.commits[repository.branches["main"]]) == {".gitattributes"}
    commit = repository.branches["half"]
    assert images(f"{HUB}@half").shape == images(f"{HUB}@{commit}").shape
    repository.commit("main", {"checkpoints/step-00000099/ema.safetensors": b"older"})
    succeeded(push(place))
    assert not [n for n in repository.commits[repository.branches["main"]] if "step-00000099" in n]
    assert torch.equal(images(HUB), images(place / "run"))
    with pytest.raises(UsageError, match="no such revision"):
        images(f"{HUB}@absent")


def test_what_is_private_stays_private(
    place: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(push(place, "--private"))
    assert hub.repositories["user/tiny"].private
    images(HUB)
    hub.put("user/public", {"README.md": b""})
    refused(push(place, "--private", repo="user/public"), "is public", code=2)
    assert list(hub.repositories["user/public"].commits.values())[-1] == {"README.md": b""}
    monkeypatch.setenv("HF_TOKEN", "hf_ofastranger")
    refused(push(place), "refuses the access token", "hf auth login", code=2)
    shutil.rmtree("cache")
    with pytest.raises(UsageError, match="no such repository") as caught:
        images(HUB)
    assert "if the repository is private" in str(caught.value)


def test_without_a_token(place: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error before anything is written or asked for."""
    monkeypatch.delenv("HF_TOKEN")
    refused(push(place), "there is none", "hf auth login", "HF_TOKEN", code=6)
    assert hub.asked == []


def test_without_the_package(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for words in (("push", "run", "user/tiny"), ("sample", HUB)):
        refused(call(*words, cwd=place), "pip install 'dddm[hub]'", code=6)


@pytest.mark.parametrize("repo", ["tiny", "user/tiny/more", "hf://user/tiny@branch"])
def test_a_push_needs_the_name_of_a_repository(place: Path, repo: str) -> None:
    refused(push(place, repo=repo), repo.removeprefix("hf://")[:9], code=2)


def test_answers_with_errors(place: Path, hub: Hub) -> None:
    """A Hub that is down is like none: what was downloaded before is used."""
    succeeded(push(place))
    images(HUB)
    hub.fail_with = 503
    images(HUB)
    shutil.rmtree("cache")
    with pytest.raises(EnvironmentProblem, match="cannot be reached"):
        images(HUB)
    hub.fail_with = 403
    with pytest.raises(UsageError, match="access token"):
        images(HUB)


def test_a_repository_that_is_no_run(hub: Hub) -> None:
    hub.put("user/tiny", {"README.md": b"", "model.pkl": b"cos\nsystem\n"})
    with pytest.raises(DataError, match="not a portable run"):
        images(HUB)
    assert hub.got == {}
    with pytest.raises(UsageError, match="no such repository"):
        images("hf://user/other")


# Tampering.


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


WEIGHTS = "checkpoints/step-00000006/ema.safetensors"


@pytest.mark.parametrize(
    ("name", "change", "says", "downloaded"),
    [
        (WEIGHTS, _flip, "was changed", True),
        (WEIGHTS, lambda data: data[:-1], "bytes on the Hub instead of", False),
        (WEIGHTS, lambda data: data * 3, "bytes on the Hub instead of", False),
        (WEIGHTS, lambda _: None, "is missing on the Hub", False),
        ("recipe.toml", _flip, "was changed", True),
        ("run.json", _flip, "was changed", True),
        ("checkpoints/step-00000006/state.json", _flip, "was changed", True),
        (MANIFEST, lambda data: data.replace(b"README.md", b"../x.html"), "no file of a", False),
        (MANIFEST, lambda data: data.replace(b"README.md", b"model.pkl"), "no file of a", False),
        (MANIFEST, lambda data: data + b" " * (1 << 20), "no portable run needs", False),
        (MANIFEST, lambda data: data[:-9], "cannot be used", False),
        (MANIFEST, lambda data: b"[" * 100_000, "cannot be used", False),
        (MANIFEST, lambda _: None, "is not a portable run", False),
    ],
)
def test_what_was_changed_on_the_hub_is_refused(  # noqa: PLR0917 - columns of the table
    portable: Path,
    hub: Hub,
    name: str,
    change: Callable[[bytes], bytes | None],
    says: str,
    downloaded: bool,  # noqa: FBT001 - as above
) -> None:
    """And, where its size says so, not even downloaded; a second try meets the same refusal."""
    repository = hub.put("user/tiny", contents(portable))
    repository.change(name, change((portable / name).read_bytes()))
    for _ in range(2):
        with pytest.raises(DataError, match=says):
            images(HUB)
    assert (WEIGHTS in hub.got) == downloaded
    assert all(not part.startswith("..") for part in hub.got)


def test_a_damaged_cache_is_refused(portable: Path, hub: Hub) -> None:
    hub.put("user/tiny", contents(portable))
    images(HUB)
    (stored,) = Path("cache").rglob("ema.safetensors")
    stored.resolve().write_bytes(_flip(stored.read_bytes()))
    with pytest.raises(DataError, match=r"was changed(.|\n)*remove this folder"):
        images(HUB)


def test_a_network_that_is_larger_than_its_weights_takes_no_memory(
    portable: Path, hub: Hub
) -> None:
    """A list that fits, of a recipe whose network would take a gigabyte."""
    recipe = portable / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("channels = 8", "channels = 512"))
    write_list(portable)
    hub.put("user/tiny", contents(portable))
    with pytest.raises(DataError, match="and the file of its weights"):
        images(HUB)


def test_observers_of_others_are_not_made(portable: Path, hub: Hub) -> None:
    recipe = portable / "recipe.toml"
    recipe.write_text(recipe.read_text() + '\n[[observe]]\nuse = "tensorboard"\n')
    write_list(portable)
    hub.put("user/tiny", contents(portable))
    invoke("sample", HUB, "--images", "2", cwd=Path())
    assert not list(Path().rglob("events.out*"))
    assert not list(Path().rglob("observers"))


# Verifying.


def verdicts(folder: Path, *words: str, code: int = 0) -> tuple[list[str], dict[str, Any]]:
    done = call("verify", folder, "--json", *words, cwd=folder)
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    return [claim["verdict"] for claim in found["claims"]], found


def test_a_run_and_its_export_are_verified(place: Path, portable: Path) -> None:
    """All images drawn again are equal, and all scores."""
    for folder in (place / "run", portable):
        claims, found = verdicts(folder)
        assert claims == ["verified"] * 4
        assert {one["drawn"] for one in found["samples"]} <= {64, 6}
        assert {one["largest_difference_levels"] for one in found["samples"]} == {0}
        assert all(one["claimed"] == one["measured"] for one in found["claims"])


def test_images_that_are_not_drawn_are_scored_only(portable: Path) -> None:
    assert verdicts(portable, "--images", "0")[0] == ["scored only"] * 4


def test_without_data_scores_are_printed_only(portable: Path) -> None:
    """The images of the recipe are not here, or others are."""
    for change, why in (
        ("data={use='folder',path='absent'}", "no such folder"),
        ("data={use='npz',path='samples/fixed-time-1/samples.npz'}", "not those that the run"),
    ):
        claims, found = verdicts(portable, "--set", change)
        assert claims == ["printed only"] * 4
        assert all(why in one["why"] for one in found["claims"])
        assert all(one["agrees"] for one in found["samples"])


def test_without_samples_scores_are_printed_only(portable: Path) -> None:
    shutil.rmtree(portable / "samples")
    write_list(portable)
    assert verdicts(portable)[0] == ["printed only"] * 4


def test_a_score_that_was_embellished_is_found(portable: Path) -> None:
    """By 3 %; by 1 % it is within what machines differ by."""
    path = portable / "scores.json"
    scores = json.loads(path.read_text())
    value = scores[0]["value"]
    for factor, expected, code in ((0.97, "contradicted", 7), (0.99, "verified", 0)):
        scores[0]["value"] = value * factor
        path.write_text(json.dumps(scores))
        write_list(portable)
        assert verdicts(portable, code=code)[0] == [expected, *["verified"] * 3]


def test_weights_that_did_not_make_the_images_are_found(portable: Path) -> None:
    """Also where list, checkpoint and samples are each whole."""
    path = weights_of(portable)
    noisy = {name: one + 0.1 * torch.randn_like(one) for name, one in load_file(path).items()}
    save_file(noisy, path)
    manifest = path.with_name("manifest.json")
    listed = json.loads(manifest.read_text())
    data = path.read_bytes()
    listed[path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest.write_text(json.dumps(listed))
    write_list(portable)
    claims, found = verdicts(portable, code=7)
    assert claims == ["contradicted"] * 4
    assert found["claims"][0]["why"] == "images drawn again are others"


def test_images_that_the_recipe_does_not_make_are_found(portable: Path) -> None:
    """Drawn with another seed, as their manifest admits."""
    path = portable / "samples/fixed-time-2/manifest.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    write_list(portable)
    _, found = verdicts(portable, code=7)
    assert [one["agrees"] for one in found["samples"]] == [True, False]
    assert "seed = 1" in found["samples"][1]["problem"]


def test_a_file_that_is_not_as_listed_is_found(portable: Path) -> None:
    (portable / "README.md").write_text("the best of all")
    claims, found = verdicts(portable, code=7)
    assert claims == ["verified"] * 4
    (sentence,) = found["files"]["changed"]
    assert sentence.startswith("README.md has 15 bytes")


def test_verdicts_on_the_hub(place: Path, hub: Hub) -> None:
    """A run from the Hub is scored again without being changed."""
    succeeded(push(place))
    done = call("verify", HUB, cwd=Path())
    succeeded(done)
    assert done.stdout.count("verified") == 4
    assert "13 files, all as listed" in done.stdout
    claims = json.loads(invoke("verify", HUB, "--json", cwd=Path()))["claims"]
    assert len(claims) == 4


# Runs that come with dddm.


def test_images_seconds_after_installation(tmp_path: Path) -> None:
    """`dddm sample --from digits` writes below the working directory, and says where."""
    done = call("sample", "--from", "digits", "--images", "16", cwd=tmp_path)
    assert succeeded(done).strip() == "drawn/digits/fixed-time-1-seed0"
    assert len(list((tmp_path / "drawn/digits/fixed-time-1-seed0/images").glob("*.png"))) == 16
    with np.load(tmp_path / "drawn/digits/fixed-time-1-seed0/samples.npz") as drawn:
        expected = images("digits").permute(0, 2, 3, 1).numpy()
        assert np.array_equal(drawn["arr_0"][:5], expected)
    refused(call("sample", "digits", "--from", "digits", cwd=tmp_path), "named twice", code=2)


def test_the_runs_of_the_package_are_verified(tmp_path: Path) -> None:
    """Images of float16 weights are those stored, within few levels, and so are scores."""
    found = json.loads(invoke("verify", "digits", "--json", cwd=tmp_path))
    assert [claim["verdict"] for claim in found["claims"]] == ["verified"] * 2
    assert found["samples"][0]["largest_difference_levels"] <= 2
    # Some of the 1,500 images of each set are stored: enough to draw them again, not to score them.
    few = ("--set", "sample.0.steps=[1,2]")
    found = json.loads(invoke("verify", "digits-dddm", "--json", *few, cwd=tmp_path))
    assert {claim["verdict"] for claim in found["claims"]} == {"printed only"}
    assert [one["agrees"] for one in found["samples"]] == [True] * 3
