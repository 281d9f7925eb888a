"""`dddm.load` in Python, and the images that its generator makes."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import invoke

import dddm
from dddm.errors import DataError, DddmError, PluginError, UsageError
from dddm.generate.trained import slerp
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index


@pytest.fixture
def run(trained: Path) -> Path:
    return trained / "runs/tiny"


@pytest.fixture
def loaded(run: Path) -> dddm.Generator:
    return dddm.load(run, device="cpu")


def test_python_generates_what_the_command_generates(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same images, bit for bit; without a name from the newest run."""
    words = ("--steps", "3", "--images", "5", "--labels", "3,8", "--out", "five")
    invoke("sample", *words, cwd=trained)
    monkeypatch.chdir(trained)
    images = dddm.load().sample(images=5, steps=3, labels=["3", 8], options={"clamp": True})
    with np.load("five/samples.npz") as contents:
        assert np.array_equal(images.numpy(), contents["arr_0"])
    assert images.labels == ("3", "8", "3", "8", "3")


def test_what_a_loaded_run_offers(loaded: dddm.Generator, run: Path) -> None:
    """Shape, classes, steps; another seed gives other images, clamping can be off."""
    assert (loaded.shape.channels, loaded.shape.height, loaded.shape.width) == (1, 8, 8)
    assert loaded.classes == tuple("0123456789")
    assert loaded.step == 12
    assert repr(loaded) == f"<Generator {run}: 1×8×8, 10 classes, step 12>"
    images = loaded.sample(images=3)
    assert images.labels == ("0", "1", "2")
    assert torch.equal(loaded.sample(images=2).tensor, images[:2].tensor)
    assert not torch.equal(loaded.sample(images=3, seed=1).tensor, images.tensor)
    annealed = loaded.sample(images=3, steps=4, sampler="annealed", options={"clamp": False})
    assert annealed.tensor.shape == images.tensor.shape
    assert len(loaded.sample()) == 16


def test_the_recipes_own_sampler_is_the_default(tmp_path: Path, trained: Path) -> None:
    """In Python, in `dddm sample` and in `dddm export`: its first one, with its options."""
    run = tmp_path / "run"
    shutil.copytree(trained / "runs/tiny", run)
    words = ("--folder", run, "--set", 'sample=[{use="annealed",clamp=false,steps=[3],images=5}]')
    invoke("run", trained / "tiny.toml", *words, cwd=tmp_path)
    loaded = dddm.load(run, device="cpu")
    images = loaded.sample(images=5, steps=3).numpy()
    named_so: list[tuple[tuple[str, ...], str]] = [
        ((), "annealed"),
        (("--sampler", "fixed-time"), "fixed-time"),
    ]
    for more, sampler in named_so:
        options = {"clamp": False} if sampler == "annealed" else None
        named = loaded.sample(images=5, steps=3, sampler=sampler, options=options).numpy()
        assert np.array_equal(images, named) == (sampler == "annealed")
        invoke(
            "sample", run, "--steps", "3", "--images", "5", *more, "--out", sampler, cwd=tmp_path
        )
        with np.load(tmp_path / sampler / "samples.npz") as contents:
            assert np.array_equal(named, contents["arr_0"])
        invoke("export", run, *more, "--format", "torch", "--out", "one.pt2", cwd=tmp_path)
        assert json.loads((tmp_path / "one.pt2.json").read_text())["sampler"] == sampler
    clamped = loaded.sample(images=5, steps=3, options={"clamp": True}).numpy()
    annealed = loaded.sample(images=5, steps=3, sampler="annealed").numpy()
    assert np.array_equal(clamped, annealed)


def test_images_in_every_form(loaded: dddm.Generator) -> None:
    """A tensor, an array, Pillow images and a grid, of the same values."""
    images = loaded.sample(images=5)
    assert (images.tensor.dtype, images.tensor.shape) == (torch.uint8, (5, 1, 8, 8))
    assert images.tensor.float().std() > 1
    array = images.numpy()
    assert array.dtype == np.uint8
    assert array.shape == (5, 8, 8, 1)
    assert np.array_equal(array[..., 0], images.tensor[:, 0].numpy())
    drawn = images.to_pil()
    assert len(drawn) == 5
    assert np.array_equal(np.asarray(drawn[4]), array[4, ..., 0])
    assert images.to_pil(scale=3)[0].size == (24, 24)
    assert images.grid(columns=5).width > images.grid(columns=1).width
    assert images._repr_png_().startswith(b"\x89PNG")
    assert repr(images) == "<Images: 5 of 1×8×8, uint8>"
    assert len(images) == 5
    assert torch.equal(images[-2].tensor, images.tensor[3:4])
    assert images[-2].labels == ("3",)
    assert images[1:3].labels == ("1", "2")
    with pytest.raises(IndexError):
        images[5]


@pytest.mark.parametrize("labels", [3, "3", [3], ("3",), torch.tensor([3])])
def test_one_class(loaded: dddm.Generator, labels: object) -> None:
    """By number or name, alone or in a list or tensor."""
    images = loaded.sample(images=3, labels=labels)  # type: ignore[arg-type]
    assert images.labels == ("3", "3", "3")
    expected = loaded.sample(images=4)[3]  # the fourth class, of the fourth number
    assert torch.equal(loaded.sample(images=4, labels=labels)[3].tensor, expected.tensor)  # type: ignore[arg-type]


def test_noise_of_ones_own(loaded: dddm.Generator) -> None:
    """The seed's own gives the seed's images, also beyond a block; other noise becomes x_T."""
    plain = loaded.sample(images=70, steps=2, seed=3)
    noise = loaded.noise(images=70, seed=3)
    assert (noise.dtype, noise.shape) == (torch.float32, (70, 1, 8, 8))
    assert torch.equal(loaded.sample(noise=noise, steps=2, seed=3).tensor, plain.tensor)
    noise = torch.randn(6, 1, 8, 8)
    made = loaded.sample(noise=noise, seed=3, labels=7)
    number = torch.arange(6)
    model = loaded.denoiser
    estimate = model.evaluate(
        x_t=model.schedule.prior(noise=noise),
        t=model.schedule.grid(steps=1).expand(6),
        label=torch.full((6,), 7),
        estimate=noise_by_index(seed=3, purpose="sample estimate", index=number, shape=(1, 8, 8)),
    )
    difference = made.tensor.int() - to_uint8(estimate).int()
    assert difference.abs().max() <= 1  # of other blocks, so that the last bits may differ
    assert made.tensor.float().std() > 1


@pytest.mark.parametrize("sampler", ["fixed-time", "ddim"])
def test_between_two_seeds(loaded: dddm.Generator, sampler: str) -> None:
    """Both ends are images of their seeds, also where each step has noise of its own."""
    how = {"steps": 3, "sampler": sampler, "options": {"eta": 1.0} if sampler == "ddim" else None}
    images = loaded.interpolate(2, 7, images=5, number=3, **how)  # type: ignore[arg-type]
    assert images.labels == ("3",) * 5
    first, last = (loaded.sample(images=4, seed=seed, **how)[3] for seed in (2, 7))  # type: ignore[arg-type]
    assert torch.equal(images[0].tensor, first.tensor)
    assert torch.equal(images[-1].tensor, last.tensor)
    steps = images.tensor.float().diff(dim=0).flatten(1).norm(dim=1)
    whole = (last.tensor.float() - first.tensor.float()).norm()
    assert (steps < whole).all()
    assert (steps > 0).all()
    other = loaded.interpolate(2, 7, images=5, number=3, label="8", **how)  # type: ignore[arg-type]
    assert other.labels == ("8",) * 5
    assert not torch.equal(other.tensor, images.tensor)


def test_the_great_circle() -> None:
    """Equal angles for equal weights, and the length of noise; the ends are exact."""
    weight = torch.linspace(0, 1, 5)
    e_1, e_2 = torch.eye(2).reshape(2, 1, 1, 1, 2)
    circle = slerp(e_1, e_2, weight=weight).squeeze()
    angle = weight * math.pi / 2
    assert torch.allclose(circle, torch.stack([angle.cos(), angle.sin()], dim=1), atol=1e-6)
    first, last = (torch.randn(1, 3, 4, 4) for _ in range(2))
    last *= first.norm() / last.norm()
    path = slerp(first, last, weight=weight)
    assert torch.equal(path[0], first[0])
    assert torch.equal(path[-1], last[0])
    lengths = path.flatten(1).norm(dim=1)
    assert torch.allclose(lengths, first.norm().expand(5), rtol=1e-5)
    angles = ((path[1:] * path[:-1]).flatten(1).sum(1) / first.norm().square()).acos()
    assert torch.allclose(angles, angles[:1].expand(4), atol=1e-3)
    equal = slerp(first, first, weight=weight)
    assert torch.equal(equal, first.repeat(5, 1, 1, 1))


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        ({"images": 0}, UsageError, "images is 0"),
        ({"images": "4"}, UsageError, "images is '4'; it must be a whole number"),
        ({"steps": -1}, UsageError, "steps is -1"),
        ({"steps": [1, 2]}, UsageError, "steps is [1, 2]; it must be a whole number"),
        ({"seed": -1}, UsageError, "seed is -1"),
        ({"labels": ["ten"]}, UsageError, "no class 'ten'"),
        ({"labels": 10}, UsageError, "a number from 0 to 9"),
        ({"labels": []}, UsageError, "labels is empty"),
        ({"noise": torch.zeros(3, 1, 8, 7)}, UsageError, "(N, 1, 8, 8), torch.float32; found (3,"),
        ({"noise": torch.zeros(3, 1, 8, 8), "images": 2}, UsageError, "(2, 1, 8, 8)"),
        ({"noise": torch.zeros(3, 1, 8, 8).int()}, UsageError, "torch.int32"),
        ({"noise": torch.full((3, 1, 8, 8), math.nan)}, UsageError, "finite"),
        ({"noise": torch.tensor(1.0)}, UsageError, "found ()"),
        ({"noise": np.zeros((3, 1, 8, 8))}, UsageError, "numpy.ndarray"),
        ({"sampler": "fixedtime"}, PluginError, "fixed-time"),
        ({"options": {"clam": True}}, UsageError, "did you mean clamp?"),
        ({"options": {"clamp": "yes"}}, UsageError, "expected true or false, found 'yes'"),
        ({"sampler": "annealed", "steps": 51}, UsageError, "steps"),
        ({"sampler": "jump"}, UsageError, "passes a second time"),
        ({"guidance": 2.0}, UsageError, "label_dropout"),
    ],
    ids=str,
)
def test_a_mistake_is_named(
    loaded: dddm.Generator, words: dict[str, object], error: type[DddmError], says: str
) -> None:
    """Before anything is drawn, with what would be right."""
    with pytest.raises(error) as caught:
        loaded.sample(**words)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_a_mistake_between_seeds_is_named(loaded: dddm.Generator) -> None:
    """Both ends are images, of numbers and seeds that there are."""
    for words, says in (
        ({"images": 1}, "images is 1; it must be at least 2"),
        ({"number": -1}, "number is -1"),
        ({"label": "ten"}, "no class 'ten'"),
    ):
        with pytest.raises(UsageError, match=says):
            loaded.interpolate(0, 1, **words)
    with pytest.raises(UsageError, match="seed is -1"):
        loaded.interpolate(0, -1)
    with pytest.raises(TypeError, match="imges"):
        loaded.sample(imges=3)  # type: ignore[call-arg]


def test_a_run_that_is_not_there(run: Path, tmp_path: Path) -> None:
    """No run, or one without a checkpoint: an error that says what to do."""
    with pytest.raises(UsageError):
        dddm.load(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("recipe.toml", "run.json"):
        (bare / name).write_bytes((run / name).read_bytes())
    with pytest.raises(DataError, match="no checkpoint yet"):
        dddm.load(bare, device="cpu")
