"""Features that are learned on images: good, made once, resumed exactly, known by their images."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dddm.data.in_memory_split import InMemorySplit
from dddm.errors import DataError
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Split
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Issue, Kind, NoOptions, RecipeContext
from dddm.recipe.read import read_component
from dddm.registry.loader import load_catalogue
from dddm.support.checked_tensors import load_checked, save_checked
from dddm.support.images import from_uint8
from dddm_datasets.digits import Digits
from dddm_features import learned
from dddm_features.learned import Learned, contrastive_loss, shifted, view
from dddm_features.options import LearnedOptions, check_learned

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path))
    return tmp_path / "learned-features"


@pytest.fixture(scope="module")
def digits() -> Split:
    return Digits(NoOptions()).splits()["train"]


def some(split: Split, count: int, *, classes: bool = True) -> InMemorySplit:
    """The first images of a split."""
    index = torch.arange(count)
    return InMemorySplit(
        all_images=split.images(index),
        all_labels=split.labels(index) if classes else None,
        class_names=split.classes if classes else (),
    )


def learn(
    split: Split,
    *,
    epochs: int,
    channels: int = 32,
    flips: bool = False,
    progress: Callable[[str, int, int], None] = no_progress,
) -> tuple[Learned, str | None]:
    features = Learned(LearnedOptions(epochs=epochs, channels=channels))
    return features, features.prepare(images=split, flips=flips, device=CPU, progress=progress)


def learned_on(images: str) -> Learned:
    """With one pass over another data set, as a recipe names it."""
    options = ["epochs=1", f"images={images}"]
    found = read_component(Kind.FEATURES, "learned", options=options, catalogue=load_catalogue())
    features: Learned = found.instantiate()
    return features


def npz(path: Path, split: InMemorySplit) -> str:
    """The images in a file, as a recipe names it."""
    images_NHWC = split.all_images.permute(0, 2, 3, 1).numpy()
    assert split.all_labels is not None
    np.savez(path, arr_0=images_NHWC, arr_1=split.all_labels.numpy())
    return f'{{use="npz", path="{path}"}}'


def kept_in(cache: Path) -> list[Path]:
    """The files but for locks, which stay and hold nothing."""
    return [path for path in cache.iterdir() if path.suffix != ".lock"]


def refuse_to_train(*_: object, **__: object) -> None:
    raise AssertionError("it trains again")


def provenance(cache: Path) -> dict[str, object]:
    (path,) = cache.glob("*.json")
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_classes_are_learned(digits: Split, cache: Path) -> None:
    """Five passes name nearly every held-out digit; the file says what it was made from."""
    _, sentence = learn(digits, epochs=5)
    said = provenance(cache)
    assert said["images"] == digits.manifest
    assert said["epochs"] == 5
    assert said["torch"] == torch.__version__
    assert float(str(said["accuracy"])) > 0.9
    assert float(str(said["chance"])) < 0.2
    assert sentence is not None
    assert "named the class of 9" in sentence
    assert sorted(path.suffix for path in kept_in(cache)) == [".json", ".safetensors"]


def test_of_two_runs_at_a_time_one_learns(digits: Split, cache: Path) -> None:
    """The other waits and reads, or their scores could not be compared."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: learn(some(digits, 200), epochs=1), range(2)))
    assert sum(sentence is not None for _, sentence in found) == 1
    assert found[0][0].fingerprint == found[1][0].fingerprint
    assert len(kept_in(cache)) == 2


def test_a_wider_network_is_another(digits: Split, cache: Path) -> None:
    images = some(digits, 200)
    narrow, _ = learn(images, epochs=1)
    wide, sentence = learn(images, epochs=1, channels=8)
    assert (narrow.dimensions, wide.dimensions) == (128, 32)
    assert sentence is not None
    assert wide.fingerprint != narrow.fingerprint
    assert [one.shape[1] for one in wide.maps(torch.zeros(1, 1, 8, 8))] == [8, 16, 32]


def test_without_classes_views_are_found(digits: Split, cache: Path) -> None:
    """Among 60 held-out digits the other view of one: far above 1 in 60."""
    features, sentence = learn(some(digits, 600, classes=False), epochs=8)
    said = provenance(cache)
    assert float(str(said["chance"])) == pytest.approx(1 / 60)
    assert float(str(said["accuracy"])) > 10 / 60
    assert sentence is not None
    assert "the other view of" in sentence
    assert [one.shape[1:] for one in features.maps(torch.zeros(2, 1, 8, 8))] == [
        (32, 8, 8),
        (64, 4, 4),
        (128, 2, 2),
    ]


def test_it_is_learned_once(digits: Split, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run reads it; other images, passes or flips are other features."""
    few = some(digits, 100)
    first, _ = learn(few, epochs=1)
    for others, epochs, flips in ((some(digits, 101), 1, False), (few, 2, False), (few, 1, True)):
        learn(others, epochs=epochs, flips=flips)
    assert len(list(cache.glob("*.safetensors"))) == 4
    monkeypatch.setattr(learned, "_train", refuse_to_train)
    again, sentence = learn(few, epochs=1)
    assert sentence is None
    images = torch.rand(3, 1, 8, 8)
    for one, other in zip(first.maps(images), again.maps(images), strict=True):
        assert torch.equal(one, other)


def test_a_damaged_file_is_made_again(digits: Split, cache: Path) -> None:
    few = some(digits, 100)
    learn(few, epochs=1)
    (path,) = cache.glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    learn(few, epochs=1)
    assert path.read_bytes() == whole


class Stopped(Exception):
    """Asked to stop."""


@pytest.mark.parametrize("classes", [True, False])
def test_stopped_and_resumed_is_the_same(digits: Split, cache: Path, *, classes: bool) -> None:
    """After any pass, bit for bit; what was done is not done again."""
    few, images = some(digits, 200, classes=classes), torch.rand(3, 1, 8, 8)
    expected, _ = learn(few, epochs=3)
    for path in kept_in(cache):
        path.unlink()
    seen = []
    for at in (1, 2):

        def progress(what: str, done: int, total: int, *, at: int = at) -> None:
            seen.append((what, done, total))
            if done == at * 180:
                raise Stopped

        with pytest.raises(Stopped):
            learn(few, epochs=3, progress=progress)
        assert [path.name.split(".", 1)[1] for path in kept_in(cache)] == ["partial.safetensors"]
    found, _ = learn(few, epochs=3)
    assert [done for _, done, _ in seen] == [0, 180, 180, 360]
    assert {(what, total) for what, _, total in seen} == {("learning features", 540)}
    for one, other in zip(expected.maps(images), found.maps(images), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_drawn_from_the_global_generator(digits: Split) -> None:
    before = torch.get_rng_state()
    learn(some(digits, 50), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_maps_carry_a_gradient_to_one_image(digits: Split) -> None:
    """In eval mode: an image's maps do not depend on the others, and the weights stay."""
    features, _ = learn(some(digits, 50), epochs=1)
    images = torch.rand(3, 1, 8, 8, requires_grad=True)
    maps = features.maps(images)
    for one, alone in zip(maps, features.maps(images[:1]), strict=True):
        torch.testing.assert_close(one[:1], alone)
    (gradient,) = torch.autograd.grad(maps[-1][0].sum(), images)
    assert bool(gradient[0].any())
    assert not bool(gradient[1:].any())


def test_before_learning_there_are_none() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        Learned(LearnedOptions(epochs=1)).maps(torch.zeros(1, 1, 8, 8))


def test_vectors_are_means_of_the_last_map(digits: Split) -> None:
    """Of 8-bit images and of the same in [-1, 1]; logits are what the head makes of them."""
    features, _ = learn(digits, epochs=3)
    index = torch.arange(1400, 1500)
    images = digits.images(index)
    found = features.extract_with_logits(images)
    coarsest = features.maps(from_uint8(images))[-1]
    assert found.features.shape == (100, features.dimensions)
    for k in range(100):
        for channel in (0, 127):
            mean = sum(float(v) for v in coarsest[k, channel].flatten()) / 4
            assert float(found.features[k, channel]) == pytest.approx(mean, abs=1e-5)
    assert torch.equal(features.extract(images), found.features)
    torch.testing.assert_close(features.embed(from_uint8(images)), found.features)
    assert found.logits is not None
    label_B = digits.labels(index)
    assert label_B is not None
    assert int((found.logits.argmax(1) == label_B).sum()) > 90


def test_without_classes_there_are_no_logits(digits: Split) -> None:
    features, _ = learn(some(digits, 50, classes=False), epochs=1)
    assert not features.has_logits
    assert features.extract_with_logits(digits.images(torch.arange(3))).logits is None


def test_one_class_is_as_none(digits: Split, cache: Path) -> None:
    """Its name says nothing, so that views are told apart instead."""
    few = some(digits, 50)
    alone = InMemorySplit(
        all_images=few.all_images,
        all_labels=torch.zeros(50, dtype=torch.int64),
        class_names=("digit",),
    )
    features, sentence = learn(alone, epochs=1)
    assert sentence is not None
    assert "the other view of" in sentence
    assert not features.has_logits
    same, _ = learn(some(digits, 50, classes=False), epochs=1)
    images = digits.images(torch.arange(3))
    assert torch.equal(features.extract(images), same.extract(images))


def test_fewest_images(digits: Split) -> None:
    """Of ten one is held out; nine are refused."""
    _, sentence = learn(some(digits, 10), epochs=1)
    assert sentence is not None
    assert "held-out" in sentence
    with pytest.raises(DataError, match="10 images or more, and there are 9"):
        learn(some(digits, 9), epochs=1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 11), (3, 33, 17)])
def test_any_size(shape: tuple[int, int, int]) -> None:
    """From 8 pixels on, grey and coloured, whole halves or not."""
    images = torch.randint(0, 256, (20, *shape), dtype=torch.uint8)
    split = InMemorySplit(all_images=images, all_labels=None, class_names=())
    features, _ = learn(split, epochs=1)
    features.check_shape(split.shape)
    assert features.extract(images).shape == (20, 128)


@pytest.mark.parametrize("shape", [(2, 8, 8), (3, 7, 9)])
def test_other_shapes_are_refused(shape: tuple[int, int, int]) -> None:
    images = torch.zeros((20, *shape), dtype=torch.uint8)
    split = InMemorySplit(all_images=images, all_labels=None, class_names=())
    with pytest.raises(DataError, match="accepts images of"):
        learn(split, epochs=1)
    with pytest.raises(DataError, match="accepts images of"):
        Learned(LearnedOptions()).check_shape(split.shape)


def test_known_by_what_they_are_learned_from(digits: Split) -> None:
    """The images, passes and flips, before it is learned and after."""
    few, other = some(digits, 50), some(digits, 51)
    variants = [(few, 1, False), (other, 1, False), (few, 2, False), (few, 1, True)]
    before, after = set(), set()
    for images, epochs, flips in variants:
        features = Learned(LearnedOptions(epochs=epochs))
        assert features.trained_on is None
        features.identify(images, flips=flips)
        assert features.trained_on == f"{len(images)} images {images.manifest[:12]}"
        before.add(features.fingerprint)
        after.add(learn(images, epochs=epochs, flips=flips)[0].fingerprint)
    assert len(before) == len(after) == 4
    assert not before & after


def test_other_weights_are_other_features(digits: Split, cache: Path) -> None:
    """As another device makes them: what was extracted by the first must not serve the second."""
    few = some(digits, 50)
    first, _ = learn(few, epochs=1)
    (path,) = cache.glob("*.safetensors")
    changed = {
        name: tensor + 1e-6 * (tensor.ndim > 1)
        for name, tensor in (load_checked(path) or {}).items()
    }
    save_checked(path, changed)
    second, sentence = learn(few, epochs=1)
    assert sentence is None
    assert second.fingerprint != first.fingerprint


def test_other_images_to_learn_from(digits: Split, tmp_path: Path, cache: Path) -> None:
    """Those of a data set that the options name, whatever the run's are; opened once."""
    others = some(digits, 60)
    features = learned_on(npz(tmp_path / "others.npz", others))
    for run in (some(digits, 100), some(digits, 50, classes=False)):
        features.prepare(images=run, flips=False, device=CPU, progress=no_progress)
        assert features.has_logits
        assert features.trained_on is not None
        assert features.trained_on.startswith("60 images")
    assert len(list(cache.glob("*.safetensors"))) == 1
    alike, _ = learn(others, epochs=1)
    images = digits.images(torch.arange(3))
    assert torch.equal(features.extract(images), alike.extract(images))
    large = InMemorySplit(
        all_images=torch.zeros(20, 1, 16, 16, dtype=torch.uint8), all_labels=None, class_names=()
    )
    with pytest.raises(DataError, match="learned on images of 1×8×8, and those of the run are"):
        features.identify(large, flips=False)


def test_what_learning_takes_is_known_before() -> None:
    """Products of three passes through five convolutions, twice where views are compared."""
    features, shape = Learned(LearnedOptions(epochs=7)), ImageShape(channels=3, height=8, width=8)
    features.to(torch.device("meta"))
    stages = ((3, 32, 8), (32, 64, 4), (64, 64, 4), (64, 128, 2), (128, 128, 2))
    forward = sum(2 * 9 * into * out * side**2 for into, out, side in stages)
    for classes, views in (((), 2), (("a",), 2), (("a", "b"), 1)):
        data = DatasetInfo(shape=shape, train_images=100, classes=classes)
        assert features.prepare_shapes(data) == 3 * views * 7 * 100 * forward


def test_its_shapes_are_known_before() -> None:
    """On the meta device, where operations are counted."""
    features = Learned(LearnedOptions())
    features.to(torch.device("meta"))
    shape = ImageShape(channels=3, height=16, width=16)
    features.prepare_shapes(DatasetInfo(shape=shape, train_images=100))
    images = torch.empty(2, *shape.as_tuple, device="meta")
    assert [one.shape[1:] for one in features.maps(images)] == [
        (32, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
    ]


def issues(options: str, *, channels: int = 1, side: int = 8, images: int = 100) -> list[Issue]:
    """What `dddm check` finds, with so many images of the run."""
    found = read_component(Kind.FEATURES, "learned", options=[options], catalogue=load_catalogue())
    shape = ImageShape(channels=channels, height=side, width=side)
    data = DatasetInfo(shape=shape, train_images=images)
    return list(check_learned(found.options, RecipeContext(data=data, tables={})))


def test_what_cannot_be_learned_is_found_before(tmp_path: Path) -> None:
    """Where the images are known without reading them, at the option to change."""
    assert issues("epochs=1") == []
    for known, option, what in (
        ({"images": 9}, "use", "10 images or more"),
        ({"side": 7}, "use", "8 pixels or more"),
        ({"channels": 2}, "use", "1 or 3 channels"),
    ):
        (issue,) = issues("epochs=1", **known)
        assert (issue.option, what in issue.what) == (option, True)
    assert issues('images={use="digits"}', images=9) == []
    (issue,) = issues('images={use="digits"}', side=16)
    assert issue.option == "images"
    assert "1×8×8, and those of the run are 1×16×16" in issue.what
    # A folder is known once it is read.
    assert issues(f'images={{use="folder", path="{tmp_path}"}}') == []


def test_shifts_are_windows_of_the_padded_image() -> None:
    """Each image by its own shift and mirror, every one of them within an eighth of the size."""
    images = torch.arange(400 * 64, dtype=torch.float32).reshape(400, 1, 8, 8)
    padded = nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    found = shifted(images, flips=True, generator=torch.Generator().manual_seed(0))
    seen = set()
    for k, image in enumerate(found):
        matches = [
            (down, right, mirrored)
            for down in range(3)
            for right in range(3)
            for mirrored in (False, True)
            if torch.equal(
                image.flip(2) if mirrored else image,
                padded[k, :, down : down + 8, right : right + 8],
            )
        ]
        seen.update(matches)
        assert len(matches) == 1
    assert len(seen) == 18
    straight = shifted(images, flips=False, generator=torch.Generator().manual_seed(0))
    assert bool((straight[..., 4] > straight[..., 3]).all())  # pixels rise from left to right


def test_a_view_is_a_part_of_the_image() -> None:
    """Of a ramp it is a ramp again, less steep by the part's share, and never outside the image."""
    ramp = torch.linspace(-1, 1, 64).expand(200, 1, 64, 64).contiguous()
    found = view(ramp, flips=False, generator=torch.Generator().manual_seed(0))
    slope = (found[:, 0, 32, 40] - found[:, 0, 32, 24]) / (ramp[0, 0, 32, 40] - ramp[0, 0, 32, 24])
    assert 0.5 * 0.6 - 0.01 < float(slope.min()) < float(slope.max()) < 1.4 + 0.01
    rows = found[:, 0, 8:56].std(dim=1).amax()
    assert float(rows) < 1e-4  # a ramp from left to right is none from top to bottom
    mirrored = view(ramp, flips=True, generator=torch.Generator().manual_seed(0))
    share = float((mirrored[:, 0, 32, 40] < mirrored[:, 0, 32, 24]).float().mean())
    assert 0.4 < share < 0.6


def test_the_contrastive_loss_is_its_formula() -> None:
    """SimCLR's equation 1, one pair after the other, in float64."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 6, dtype=torch.float64)
    every = [*first, *second]

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        cosine: Tensor = torch.dot(a, b) / (a.norm() * b.norm())
        return cosine / 0.2

    losses = []
    for i in range(8):
        other = (i + 4) % 8
        below = sum(similarity(every[i], every[k]).exp() for k in range(8) if k != i)
        losses.append(-(similarity(every[i], every[other]).exp() / below).log())
    torch.testing.assert_close(contrastive_loss(first, second), torch.stack(losses).mean())
