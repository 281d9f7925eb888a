"""`dddm export --format diffusers`: a folder that the real library loads, from a disk and a Hub."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import call, invoke, refused
from hub_server import serving_hub

import dddm
from dddm.errors import UsageError
from dddm.support.torchvision_operators import import_torchvision

import_torchvision()  # before diffusers does

diffusers: Any = pytest.importorskip("diffusers")
dynamic_modules_utils: Any = pytest.importorskip("diffusers.utils.dynamic_modules_utils")
logging: Any = pytest.importorskip("diffusers.utils.logging")

DiffusionPipeline = diffusers.DiffusionPipeline
NETWORK = "digits-dddm"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network `digits-dddm` that comes with dddm, as a pipeline; not to be changed."""
    place = tmp_path_factory.mktemp("pipeline")
    invoke("export", NETWORK, "--format", "diffusers", "--out", "digits", cwd=place)
    return place / "digits"


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where diffusers copies a pipeline's own modules to before it imports them."""
    cache = str(tmp_path / "modules")
    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", cache)
    monkeypatch.setattr(sys, "path", [*sys.path])
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    yield
    for name in [name for name in sys.modules if name.startswith("diffusers_modules")]:
        del sys.modules[name]


def load(folder: Path | str, **words: Any) -> Any:
    return DiffusionPipeline.from_pretrained(str(folder), trust_remote_code=True, **words)


def test_its_images_are_those_of_dddm(folder: Path) -> None:
    pipeline, ours = load(folder), dddm.load(NETWORK, device="cpu")
    for steps, seed, labels in ((1, 0, None), (2, 5, [3, 7])):
        made = pipeline(
            batch_size=6,
            num_inference_steps=steps,
            seed=seed,
            class_labels=labels,
            output_type="pt",
        ).images
        expected = ours.sample(images=6, steps=steps, seed=seed, labels=labels).tensor
        assert made.shape == (6, 1, 8, 8)
        assert made.dtype == torch.float32
        assert torch.equal((made * 255).round().to(torch.uint8), expected)
    named = pipeline(6, 10, seed=1, sampler="annealed", output_type="pt").images
    expected = ours.sample(images=6, steps=10, seed=1, sampler="annealed").tensor
    assert torch.equal((named * 255).round().to(torch.uint8), expected)


def test_outputs(folder: Path) -> None:
    pipeline = load(folder)
    (pictures,) = pipeline(3, seed=2, return_dict=False)
    arrays = pipeline(3, seed=2, output_type="np").images
    assert [one.size for one in pictures] == [(8, 8)] * 3
    assert arrays.shape == (3, 8, 8, 1)
    assert arrays.min() >= 0
    assert np.array_equal(
        (arrays[..., 0] * 255).round(), np.stack([np.asarray(one) for one in pictures])
    )


def test_a_generator_gives_the_seed(folder: Path) -> None:
    pipeline = load(folder)

    def draw(seed: int) -> Any:
        return pipeline(4, generator=torch.Generator().manual_seed(seed), output_type="np").images

    assert np.array_equal(draw(0), draw(0))
    assert not np.array_equal(draw(0), draw(1))
    with torch.random.fork_rng():
        assert not np.array_equal(pipeline(output_type="np")[0], pipeline(output_type="np")[0])


def test_a_user_s_mistakes(folder: Path) -> None:
    pipeline = load(folder)
    with pytest.raises(UsageError, match="'latent' is no output type"):
        pipeline(output_type="latent")
    with pytest.raises(UsageError, match="label_dropout"):
        pipeline(guidance_scale=2.0)
    with pytest.raises(UsageError, match=r"cast to torch\.bfloat16"):
        load(folder, torch_dtype=torch.bfloat16).to(torch.bfloat16)()
    with pytest.raises(ValueError, match="trust_remote_code"):
        DiffusionPipeline.from_pretrained(str(folder))


def test_the_network_moves_with_the_pipeline(folder: Path) -> None:
    pipeline = load(folder)
    assert pipeline.device == torch.device("cpu")
    assert pipeline.to("meta").network.backbone is pipeline.network.generator.backbone
    assert next(pipeline.network.generator.backbone.parameters()).device.type == "meta"


def test_from_the_hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants, hf_api

    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    with serving_hub() as hub:
        hub.put("user/digits", files)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        pipeline = load("user/digits", cache_dir=tmp_path / "cache")
    made = pipeline(5, seed=1, output_type="pt").images
    expected = dddm.load(NETWORK, device="cpu").sample(images=5, seed=1).tensor
    assert torch.equal((made * 255).round().to(torch.uint8), expected)


def test_what_is_in_the_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "model_index.json", "network", "pipeline.py",
        "diffusion_pytorch_model.safetensors",
    }  # fmt: skip
    assert json.loads((folder / "model_index.json").read_text())["network"] == [
        "trained",
        "Network",
    ]
    assert 'from_pretrained("digits", trust_remote_code=True)' in (folder / "README.md").read_text()
    assert len(dddm.load(folder / "network").sample(images=2)) == 2


def test_a_changed_network_is_refused(folder: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(folder, tmp_path / "changed"))
    with (changed / "network" / "recipe.toml").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    with pytest.raises(dddm.errors.DataError, match=r"recipe\.toml"):
        load(changed)


def test_nothing_is_overwritten_or_half_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder.parent
    words = ("export", NETWORK, "--format", "diffusers")
    refused(call(*words, "--out", "digits", cwd=place), "the folder to write exists", code=2)
    refused(call(*words, "--guidance", "2", cwd=place), "leave --ema", code=2)
    monkeypatch.setattr("importlib.metadata.version", _not_there)
    refused(call(*words, "--out", "other", cwd=place), "pip install 'dddm[diffusers]'", code=6)
    assert {path.name for path in place.iterdir()} == {"digits"}


def _not_there(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(name)
