"""The exported generator gives the images of the network, for any number of them."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from command_line import call, invoke, succeeded
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass

from dddm.core.denoiser import ScheduledDenoiser
from dddm.errors import DataError, EnvironmentProblem, PluginError, UsageError
from dddm.generate import export as exporting
from dddm.generate.export import Format, export
from dddm.generate.generator import Generator
from dddm.generate.sample import generate_images
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.recipe.model import ComponentConfig, SampleSpec
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index
from dddm.training.network import build_parametrization, build_schedule, instantiate_backbone
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions
from dddm_schedules.discrete import vp
from dddm_schedules.options import VpOptions

CATALOGUE = load_catalogue()
SHAPE = ImageShape(channels=3, height=8, width=8)


def generator(*, label_dropout: bool = False, **options: Any) -> Generator:
    torch.manual_seed(0)
    classes = ("a", "b", "c") if options.get("classes") else ()
    settings = AdmOptions(
        channels=8, multipliers=(1, 2), blocks=1, attention=(4,), **{"classes": False, **options}
    )
    backbone = Adm(settings, shape=SHAPE, classes=len(classes) + label_dropout)
    for parameter in backbone.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    backbone.eval().requires_grad_(requires_grad=False)
    return Generator(
        model=ScheduledDenoiser(schedule=vp(VpOptions()), backbone=backbone),
        backbone=backbone,
        device=torch.device("cpu"),
        shape=SHAPE,
        classes=classes,
        step=3,
        checkpoint_sha256="c" * 64,
        weights="ema",
        no_class=len(classes) if label_dropout else None,
    )


def sampler(name: str, *options: str) -> ComponentConfig:
    return read_component(Kind.SAMPLER, name, options=options, catalogue=CATALOGUE)


def export_fixed(one: Generator, **more: Any) -> float:
    """Export a step of algorithm 2."""
    return export(one, sampler=sampler("fixed-time"), **more)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("onnx", {"estimate": "concatenation"}),  # the command's test exports one with classes
        ("torch", {"classes": True}),
        ("torch", {"estimate": "concatenation"}),
        ("torch", {"estimate": "cross-attention"}),
        ("torch", {"estimate": "transformer", "classes": True}),
    ],
)
def test_every_network_can_be_written(
    tmp_path: Path, kind: Format, options: dict[str, Any]
) -> None:
    """Every way the estimate enters, with and without classes."""
    path = tmp_path / f"g{exporting.SUFFIXES[kind]}"
    assert export_fixed(generator(**options), kind=kind, path=path) < 1e-5
    facts = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert ("label" in facts["inputs"]) == bool(options.get("classes"))
    assert facts["checkpoint"] == {"step": 3, "sha256": "c" * 64}
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f"{path.name}.json"}


def of_recipe(name: str) -> tuple[Generator, ComponentConfig]:
    """A small network of a recipe, untrained, and the recipe's first sampler."""
    torch.manual_seed(0)
    recipe = read_recipe(name, overrides=["backbone.channels=8"], catalogue=CATALOGUE)
    classes = tuple("0123456789") if recipe.backbone.options.classes else ()
    shape = ImageShape(channels=1, height=8, width=8)
    backbone = instantiate_backbone(recipe, shape=shape, classes=len(classes))
    for parameter in backbone.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    backbone.eval().requires_grad_(requires_grad=False)
    schedule = build_schedule(recipe)
    model = ScheduledDenoiser(
        schedule=schedule,
        backbone=backbone,
        parametrization=build_parametrization(recipe, schedule=schedule),
        takes_latent=recipe.needs.estimate == "latent",
    )
    one = Generator(
        model=model,
        backbone=backbone,
        device=torch.device("cpu"),
        shape=shape,
        classes=classes,
        step=3,
        checkpoint_sha256="c" * 64,
        weights="ema",
        objective=recipe.objective,
    )
    return one, recipe.sample[0].sampler


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        "digits_denoising",
        "digits_flow_matching",
        "digits_consistency",
        "digits_mean_flow",
        "digits_energy_score",
        "digits_drifting",
        "digits_directly_drifting",
    ],
)
def test_a_step_of_every_objectives_sampler(tmp_path: Path, name: str) -> None:
    """The file gives the samples of `dddm sample --steps 1`, and can be moved to any device."""
    one, first = of_recipe(name)
    path = tmp_path / "one.pt2"
    assert export(one, sampler=first, kind="torch", path=path) < 1e-5
    assert json.loads((tmp_path / "one.pt2.json").read_text())["sampler"] == first.component.name
    program = torch.export.load(str(path))
    spec = SampleSpec(sampler=first, steps=(1,), images=12, seed=0)
    drawn = generate_images(spec, generator=one, sampler=first.instantiate())[1]
    given = [own_noise("sample x_T"), own_noise("sample estimate")]
    given += [torch.arange(12) % 10] if one.classes else []
    apart = to_uint8(program.module()(*given)).int() - drawn.int()
    assert int(apart.abs().max()) <= 1
    moved = move_to_device_pass(program, "meta").module()
    assert moved(*(tensor.to("meta") for tensor in given)).device.type == "meta"


def test_an_arctangent_in_float64(tmp_path: Path) -> None:
    """There is none in onnxruntime; EDM's network time is one."""
    one, first = of_recipe("digits_denoising")
    assert export(one, sampler=first, kind="onnx", path=tmp_path / "one.onnx") < 1e-5


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_guidance_is_part_of_the_file(tmp_path: Path, kind: Format) -> None:
    """Its images are D(∅) + w (D(y) − D(∅)), clamped; inputs and classes stay as they are."""
    one = generator(label_dropout=True, classes=True, estimate="concatenation")
    path = tmp_path / "guided"
    assert export_fixed(one, kind=kind, path=path, guidance=2.5) < 1e-5
    facts = json.loads((tmp_path / "guided.json").read_text())
    assert facts["guidance"] == 2.5
    assert facts["classes"] == ["a", "b", "c"]
    assert facts["inputs"]["label"].endswith("0…2")
    noise, estimate = torch.randn(2, 4, *SHAPE.as_tuple)
    label = torch.tensor([0, 1, 2, 2])
    of_class, of_none = (
        one.model.evaluate(x_t=noise, t=torch.full((4,), 1000), label=given, estimate=estimate)
        for given in (label, torch.full((4,), 3))
    )
    expected = (of_none + 2.5 * (of_class - of_none)).clamp(-1, 1)
    assert (expected - of_class.clamp(-1, 1)).abs().max() > 1e-3
    torch.testing.assert_close(
        run_file(kind, path, noise, estimate, label), expected, atol=1e-5, rtol=0
    )


def run_file(kind: Format, path: Path, noise: Tensor, estimate: Tensor, label: Tensor) -> Tensor:
    """The images that an exported file gives."""
    if kind == "torch":
        with path.open("rb") as file:
            images: Tensor = torch.export.load(file).module()(noise, estimate, label)
        return images
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {"noise": noise, "estimate": estimate, "label": label}
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
    return torch.from_numpy(found)


@pytest.mark.parametrize("options", [{"classes": True}, {}])
def test_a_network_that_cannot_be_guided(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="guidance needs label_dropout"):
        export_fixed(generator(**options), kind="torch", path=tmp_path / "g.pt2", guidance=2.0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_gives_other_images_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = exporting._WRITERS["torch"]

    def wrong(*given: Any) -> Any:
        run = write(*given)
        return lambda inputs: run(inputs) + 0.001

    monkeypatch.setitem(exporting._WRITERS, "torch", wrong)
    with pytest.raises(DataError, match=r"differs from the trained one by 0\.001"):
        export_fixed(generator(), kind="torch", path=tmp_path / "g.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_cannot_be_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = generator()
    refine = one.backbone.refine

    def branching(cache: Any, *, estimate: Tensor) -> Tensor:
        raw = refine(cache, estimate=estimate)
        return raw if float(raw.sum()) > 0 else -raw

    monkeypatch.setattr(one.backbone, "refine", branching)
    model = ScheduledDenoiser(schedule=vp(VpOptions()), backbone=one.backbone)
    with pytest.raises(PluginError, match="cannot be exported"):
        export_fixed(attrs.evolve(one, model=model), kind="torch", path=tmp_path / "g.pt2")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(EnvironmentProblem, match="needs onnxscript") as caught:
        export_fixed(generator(), kind="onnx", path=tmp_path / "g.onnx")
    assert "dddm[export]" in str(caught.value.remedy)


def test_a_network_that_onnx_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_LARGEST_ONNX_BYTES", 1000)
    with pytest.raises(UsageError, match="ONNX file holds at most"):
        export_fixed(generator(), kind="onnx", path=tmp_path / "g.onnx")


def test_a_run_exported_by_the_command_gives_its_samples(tmp_path: Path, trained: Path) -> None:
    """From an image's noise onnxruntime computes what `dddm sample` does."""
    run, file, out = trained / "runs/tiny", tmp_path / "g.onnx", tmp_path / "drawn"
    done = call("export", run, "--json", "--out", file, cwd=trained)
    printed = json.loads(succeeded(done))
    progress = ("reading the weights", "tracing the network and writing", "running the file")
    assert all(words in done.stderr for words in progress)
    assert printed["file"] == str(file)
    assert printed["largest_difference"] < 1e-5
    invoke("sample", run, "--images", "12", "--out", out, cwd=trained)
    with np.load(out / "samples.npz") as contents:
        images, labels = contents["arr_0"].transpose(0, 3, 1, 2), contents["arr_1"]
    noise, estimate = (own_noise(purpose) for purpose in ("sample x_T", "sample estimate"))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given = {"noise": noise.numpy(), "estimate": estimate.numpy(), "label": labels}
    (found,) = session.run(None, given)
    apart = to_uint8(torch.from_numpy(found)).int() - torch.from_numpy(images).int()
    assert int(apart.abs().max()) <= 1


def own_noise(purpose: str) -> Tensor:
    return noise_by_index(seed=0, purpose=purpose, index=torch.arange(12), shape=(1, 8, 8))
