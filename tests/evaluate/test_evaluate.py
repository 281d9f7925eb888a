"""Samples of a run are scored, beside what real images reach, with all that repeats a score."""

import json
from functools import partial
from pathlib import Path
from typing import Any, final

import pytest
import torch
from attrs import evolve
from sample_folders import write_samples
from toy_evaluation import BrokenFeatures

from dddm.errors import DataError, RecipeError, StoppedEarly
from dddm.evaluate.baselines import baseline_images
from dddm.evaluate.evaluate import evaluate
from dddm.evaluate.record import ScoreRecord, read_scores
from dddm.generate.storage import Samples
from dddm.interfaces.dataset import Split
from dddm.interfaces.measurement import BASELINES
from dddm.interfaces.observer import Event, Notice, Observer, ScoreMeasured
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.recipe.model import (
    ComponentConfig,
    Evaluation,
    Recipe,
    SampleSpec,
    TrainSettings,
)
from dddm.recipe.protocol import Protocol
from dddm.recipe.read import read_component
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue
from dddm.training.context import RunContext
from dddm.training.events import EventBus, Subscriber
from dddm.training.run_folder import RunFolder
from dddm.training.stopping import StopRequest
from dddm_datasets.digits import Digits
from dddm_features.digits_classifier import DigitsClassifier

CPU = torch.device("cpu")
CATALOGUE = load_catalogue()


def use(kind: Kind, name: str, target: str) -> ComponentConfig:
    component = Component(
        kind=kind,
        name=name,
        namespace="dddm",
        target=target,
        options=NoOptions,
        summary="",
        plugin="test",
        package="dddm",
        version="0.1.0",
    )
    return ComponentConfig(component=component, options=NoOptions())


FEATURES = {
    "digits-classifier": "dddm_features.digits_classifier:DigitsClassifier",
    "pixels": "dddm_features.pixels:Pixels",
    "broken": "toy_evaluation:BrokenFeatures",
}


def make_recipe(
    *,
    features: tuple[str, ...] = ("digits-classifier",),
    scores: tuple[str, ...] = ("fd", "nearest"),
    metric: str = "PlainMetric",
) -> Recipe:
    """A recipe for digits; only what evaluation uses can be loaded."""
    unused = use(Kind.SCHEDULE, "unused", "nowhere:Nothing")
    used_metric = use(Kind.METRIC, "toy", f"toy_evaluation:{metric}")
    jobs = [
        SampleSpec(
            sampler=use(Kind.SAMPLER, name, "nowhere:Nothing"), steps=(1,), images=10, seed=0
        )
        for name in ("fixed-time", "annealed")
    ]
    evaluation = None
    if features:
        evaluation = Evaluation(
            features=tuple(use(Kind.FEATURES, name, FEATURES[name]) for name in features),
            scores=tuple(read_component(Kind.SCORE, name, catalogue=CATALOGUE) for name in scores),
        )
    return Recipe(
        name="digits",
        seed=0,
        data=use(Kind.DATASET, "digits", "dddm_datasets.digits:Digits"),
        schedule=unused,
        backbone=unused,
        metric=used_metric,
        objective=unused,
        parametrization=None,
        optimizer=unused,
        learning_rate=unused,
        targets=unused,
        train=TrainSettings(epochs=1, batch_images=10),
        sample=tuple(jobs),
        evaluate=evaluation,
        observe=None,
        tables={},
        fingerprint="f" * 64,
    )


def put_samples(
    folder: RunFolder,
    images: torch.Tensor,
    *,
    sampler: str = "fixed-time",
    steps: int = 1,
    seed: int = 0,
    random_classes: bool | None = None,
) -> None:
    facts = {
        "sampler": sampler,
        "sampler_id": f"dddm:{sampler}",
        "sampler_options": {"clamp": True},
        "steps": steps,
        "evaluations": steps,
        "images": len(images),
        "seed": seed,
        "random_classes": random_classes,
        "weights": "ema",
        "checkpoint": {"step": 900, "sha256": "c" * 64},
    }
    label = torch.arange(len(images)) % (7 + seed if random_classes else 10)
    samples = Samples(images=images, label=label, facts=facts)
    name = f"{sampler}-{steps}{f'-{seed}' if seed else ''}"
    write_samples(folder.samples / name, samples, columns=10)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture(scope="module")
def splits() -> dict[str, Split]:
    return dict(Digits(NoOptions()).splits())


def images_of(split: Split, count: int) -> torch.Tensor:
    return split.images(torch.arange(count))


@final
class Recorder(Observer):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def context_of(recipe: Recipe, folder: RunFolder, *observers: Observer) -> RunContext:
    subscribers = [Subscriber(title="test", make=partial(lambda o: o, one)) for one in observers]
    return RunContext(recipe=recipe, folder=folder, device=CPU, events=EventBus(subscribers))


def score_all(recipe: Recipe, folder: RunFolder) -> tuple[tuple[ScoreRecord, ...], list[Event]]:
    recorder = Recorder()
    return evaluate(context_of(recipe, folder, recorder)), recorder.events


def test_a_score_says_what_it_is(folder: RunFolder, splits: dict[str, Split]) -> None:
    """Name, counts and provenance hold what is needed to repeat the score."""
    put_samples(folder, images_of(splits["held-out"], 100))
    (score,), _ = score_all(make_recipe(scores=("fd",)), folder)
    assert score.name == "fd-digits-classifier@100"
    assert (score.sampler, score.steps, score.images) == ("fixed-time", 1, 100)
    assert score.reference_images == 1500
    about = score.provenance
    assert about["features"]["id"] == "dddm:digits-classifier"
    assert about["features"]["fingerprint"] == DigitsClassifier(NoOptions()).fingerprint
    assert about["features"]["dimensions"] == 64
    assert about["reference"]["manifest"] == splits["train"].manifest
    assert about["reference"]["held_out_manifest"] == splits["held-out"].manifest
    assert about["samples"]["checkpoint"]["sha256"] == "c" * 64
    assert about["samples"]["weights"] == "ema"
    assert about["samples"]["seed"] == 0
    assert about["samples"]["images_of_each_class"] == [10] * 10
    assert len(about["samples"]["sha256"]) == 64
    assert about["trained_with"]["metric"]["id"] == "dddm:toy"
    assert about["formula"]["ddof"] == 1
    assert {"python", "torch", "torch-fidelity", "numpy", "dddm"} <= set(about["versions"])
    assert about["machine"]["device"] == "cpu"
    assert about["seconds"] > 0
    assert about["warnings"] == []


def test_scores_are_written_and_told(folder: RunFolder, splits: dict[str, Split]) -> None:
    """The file holds the scores, in the recipe's order; each is told once; again gives the same."""
    for sampler, steps in (("annealed", 2), ("fixed-time", 10), ("fixed-time", 2)):
        put_samples(folder, images_of(splits["train"], 20), sampler=sampler, steps=steps)
    recipe = make_recipe(features=("pixels",))
    scores, events = score_all(recipe, folder)
    places = [(score.sampler, score.steps, score.measure.name) for score in scores]
    assert places == [
        (sampler, steps, metric)
        for sampler, steps in (("fixed-time", 2), ("fixed-time", 10), ("annealed", 2))
        for metric in ("fd", "nearest")
    ]
    assert read_scores(folder.scores) == scores
    assert [type(event) for event in events] == [ScoreMeasured] * 6
    assert evolve(events[0], seconds=0) == ScoreMeasured(
        seconds=0,
        score="fd-pixels@20",
        sampler="fixed-time",
        steps=2,
        evaluations=2,
        value=scores[0].value,
    )
    assert [score.value for score in score_all(recipe, folder)[0]] == [
        score.value for score in scores
    ]


def test_related_features_are_warned_of(folder: RunFolder, splits: dict[str, Split]) -> None:
    """A metric trained on what the features were trained on is named, to people and in the file."""
    put_samples(folder, images_of(splits["train"], 20))
    recipe = make_recipe(scores=("nearest",), metric="DigitsTrainedMetric")
    (score,), events = score_all(recipe, folder)
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "both trained on digits" in notice.text
    assert score.provenance["warnings"] == [notice.text]
    plain = make_recipe(features=("pixels",), metric="DigitsTrainedMetric")
    assert not any(isinstance(event, Notice) for event in score_all(plain, folder)[1])


@pytest.mark.parametrize(
    ("of", "inside", "words"),
    [
        ("objective", "digits-classifier",
         ["the loss was computed in the features digits-classifier"]),
        ("objective", "pixels", []),
        ("objective", None, []),
        ("metric", "digits-classifier",
         ["the loss was computed in the features digits-classifier"]),
        ("metric", "pixels", []),
    ],
)  # fmt: skip
def test_the_loss_s_own_features_are_warned_of(
    folder: RunFolder, splits: dict[str, Split], of: str, inside: str | None, words: list[str]
) -> None:
    """Where objective or metric compared images in what the samples are scored in."""
    put_samples(folder, images_of(splits["train"], 20))
    options = [] if inside is None else [f"features={{use={inside!r}}}"]
    kind, name = {
        "objective": (Kind.OBJECTIVE, "drifting"), "metric": (Kind.METRIC, "features"),
    }[of]  # fmt: skip
    comparing = read_component(kind, name, options=options, catalogue=CATALOGUE)
    features = read_component(Kind.FEATURES, "digits-classifier", catalogue=CATALOGUE)
    score = read_component(Kind.SCORE, "nearest", catalogue=CATALOGUE)
    plain = make_recipe()
    recipe = evolve(
        plain,
        objective=comparing if of == "objective" else plain.objective,
        metric=comparing if of == "metric" else plain.metric,
        evaluate=Evaluation(features=(features,), scores=(score,)),
    )
    (scored,), _ = score_all(recipe, folder)
    assert [text.partition(",")[0] for text in scored.warnings] == words


def test_one_image_has_no_frechet_distance(folder: RunFolder, splits: dict[str, Split]) -> None:
    """It is said, and the rest is measured; where no set is large enough, it is refused."""
    put_samples(folder, images_of(splits["train"], 1))
    with pytest.raises(DataError, match='the score "fd" needs at least 2 generated') as caught:
        score_all(make_recipe(), folder)
    assert "there are 1 and 1,500" in caught.value.what
    put_samples(folder, images_of(splits["train"], 5), steps=2)
    scores, events = score_all(make_recipe(), folder)
    assert [(score.measure.name, score.steps) for score in scores] == [
        ("nearest", 1), ("fd", 2), ("nearest", 2)
    ]  # fmt: skip
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert (
        "needs at least 2 generated and 2 training images, but there are 1 and 1,500" in notice.text
    )


EVERY: tuple[str, ...] = (
    "fd", "kid", "is", "precision-recall", "density-coverage", "authenticity", "nearest"
)  # fmt: skip


def test_every_score_of_real_and_of_copied_digits(
    folder: RunFolder, splits: dict[str, Split]
) -> None:
    """Held-out digits equal their floors; copies are precise, not authentic; noise is far off."""
    put_samples(folder, images_of(splits["held-out"], 297), steps=1)
    put_samples(folder, images_of(splits["train"], 1500), steps=2)
    noise = torch.randint(0, 256, (297, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    put_samples(folder, noise.to(torch.uint8), steps=10)
    scores, _ = score_all(make_recipe(scores=EVERY), folder)
    noisy = {score.measure.name: score for score in scores if score.steps == 10}
    real = {score.measure.name: score for score in scores if score.steps == 1}
    copies = {score.measure.name: score for score in scores if score.steps == 2}
    assert list(real) == [
        "fd", "kid", "is", "precision", "recall", "density", "coverage", "authenticity", "nearest"
    ]  # fmt: skip
    for name, score in real.items():
        floor = next(floor for floor in score.floors if floor.name == "held-out")
        assert score.value == pytest.approx(floor.value, rel=1e-6, abs=1e-9), name
        assert score.name == f"{name}-digits-classifier@297"
    assert real["is"].value == pytest.approx(real["is"].floors[0].value, rel=0.1)
    assert real["is"].floors[0].name == "training"
    assert real["precision"].value > 0.6
    assert real["authenticity"].value > 0.3
    assert (copies["precision"].value, copies["recall"].value) == (1, 1)
    assert copies["authenticity"].value == 0
    assert copies["coverage"].value == 1
    assert abs(copies["kid"].value) < abs(real["kid"].value) + 1e-3
    assert real["kid"].provenance["formula"]["subset_images"] == 297
    assert noisy["fd"].value > 50 * real["fd"].value
    close = [found["nearest"].details["close_share"] for found in (real, copies, noisy)]
    assert close == [pytest.approx(0.01, abs=0.005), 1, 0]
    assert copies["nearest"].value == 0


def test_baselines_stand_beside_each_score(folder: RunFolder, splits: dict[str, Split]) -> None:
    """Of as many images as were generated, measured as the samples are; off where asked."""
    for images, steps in ((100, 1), (100, 2), (60, 10)):
        put_samples(folder, images_of(splits["held-out"], images), steps=steps)
    recipe = make_recipe(scores=("fd", "nearest", "precision-recall"))
    scores, _ = score_all(recipe, folder)
    assert read_scores(folder.scores) == scores
    for score in scores:
        assert [one.name for one in score.baselines] == list(BASELINES), score.measure.name
        assert {one.images for one in score.baselines} == {score.images}
    first, again, fewer = [score for score in scores if score.measure.name == "fd"]
    assert first.baselines == again.baselines != fewer.baselines
    made = baseline_images("blurred-2", splits["train"], images=60)
    index = torch.arange(60)
    put_samples(folder, made.images.images(index), steps=20)
    *_, blurred = [one for one in score_all(recipe, folder)[0] if one.measure.name == "fd"]
    baseline = blurred.baseline("blurred-2")
    assert baseline is not None
    assert blurred.value == pytest.approx(baseline.value, rel=1e-9)
    assert baseline == fewer.baseline("blurred-2")
    assert recipe.evaluate is not None
    for chosen in ((), ("class-means",)):
        some = evolve(recipe, evaluate=evolve(recipe.evaluate, baselines=chosen))
        scores, _ = score_all(some, folder)
        assert {tuple(one.name for one in score.baselines) for score in scores} == {chosen}


def test_scores_of_diversity_of_real_and_of_repeated_digits(
    folder: RunFolder, splits: dict[str, Split]
) -> None:
    """Held-out digits equal their floors; one digit of each class again and again has none."""
    put_samples(folder, images_of(splits["held-out"], 297), steps=1)
    label_M = splits["train"].labels(torch.arange(1500))
    assert label_M is not None
    first = [int((label_M == k).nonzero()[0]) for k in range(10)]
    put_samples(folder, splits["train"].images(torch.tensor(first * 20)), steps=2)
    scores, _ = score_all(make_recipe(scores=("distinct-nearest", "diversity", "spread")), folder)
    names = ["distinct-nearest", "diversity", "mean-spread", "contrast-spread", "edges-spread"]
    real, repeated = scores[:5], scores[5:]
    assert [score.measure.name for score in real] == names
    assert [score.value for score in repeated] == pytest.approx([10 / 200, 0, 0, 0, 0], abs=1e-4)
    for score in scores:
        floor = score.floor("held-out")
        assert floor is not None
        assert floor.value == pytest.approx(1, abs=0.25) or score.measure.name == names[0]
    means = [score.baseline("class-means") for score in scores if score.steps == 2]
    assert [one.value for one in means if one is not None][1:] == pytest.approx([0] * 4, abs=1e-4)


def test_a_baseline_that_does_not_fit_is_said_where_it_was_asked_for(
    folder: RunFolder, splits: dict[str, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dddm.evaluate.evaluator.applies", lambda name, _: name != "blurred-4")
    put_samples(folder, images_of(splits["held-out"], 20))
    recipe = make_recipe(features=("pixels",), scores=("fd",))
    (score,), events = score_all(recipe, folder)
    assert [one.name for one in score.baselines] == list(BASELINES[:3])
    assert not any(isinstance(event, Notice) for event in events)
    assert recipe.evaluate is not None
    asked = evolve(recipe, evaluate=evolve(recipe.evaluate, baselines=BASELINES))
    _, events = score_all(asked, folder)
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert notice.startswith("the baseline blurred-4 is left out: its blocks do not divide")


def test_features_that_guess_nothing_give_no_inception_score(
    folder: RunFolder, splits: dict[str, Split]
) -> None:
    put_samples(folder, images_of(splits["train"], 20))
    with pytest.raises(RecipeError, match="pixels has none"):
        score_all(make_recipe(features=("pixels",), scores=("is",)), folder)


def test_a_recipe_that_asks_for_no_score(folder: RunFolder) -> None:
    assert score_all(make_recipe(features=()), folder) == ((), [])
    assert not folder.scores.exists()


def test_no_samples(folder: RunFolder) -> None:
    with pytest.raises(DataError, match="no samples") as caught:
        score_all(make_recipe(), folder)
    assert "dddm run" in str(caught.value.remedy)


def test_damaged_samples_leave_old_scores(folder: RunFolder, splits: dict[str, Split]) -> None:
    """When one set is damaged, the scores on the disk stay as they were."""
    put_samples(folder, images_of(splits["train"], 20))
    recipe = make_recipe(features=("pixels",))
    score_all(recipe, folder)
    before = folder.scores.read_bytes()
    put_samples(folder, images_of(splits["train"], 20), steps=2)
    (folder.samples / "fixed-time-2" / "samples.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="damaged"):
        score_all(recipe, folder)
    assert folder.scores.read_bytes() == before
    assert json.loads(before)[0]["measure"]["name"] == "fd"


def test_asked_to_stop_it_leaves_old_scores(folder: RunFolder, splits: dict[str, Split]) -> None:
    """Between two batches of images, with exit code 75; what was scored before stays."""
    put_samples(folder, images_of(splits["train"], 20))
    recipe = make_recipe(features=("pixels",))
    score_all(recipe, folder)
    before = folder.scores.read_bytes()
    stop = StopRequest()
    stop.request("SIGTERM")
    with pytest.raises(StoppedEarly) as caught:
        evaluate(evolve(context_of(recipe, folder), stop=stop))
    assert "features of training images" in str(caught.value.where)
    assert folder.scores.read_bytes() == before


def test_samples_of_another_shape(folder: RunFolder) -> None:
    put_samples(folder, torch.zeros(4, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(DataError, match="3×8×8, the real ones 1×8×8"):
        score_all(make_recipe(features=("pixels",)), folder)


def protocol_of(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe, whose scores keep to a protocol or not."""
    protocol = Protocol(name="ours", features=("dddm:digits-classifier",), images=40, **changes)
    assert recipe.evaluate is not None
    return evolve(recipe, evaluate=evolve(recipe.evaluate, protocol=protocol))


def test_a_name_without_number_is_earned(folder: RunFolder, splits: dict[str, Split]) -> None:
    """Where the protocol is kept a score has its name; elsewhere its number and a warning."""
    put_samples(folder, images_of(splits["held-out"], 40), steps=1)
    put_samples(folder, images_of(splits["held-out"], 30), steps=2)
    put_samples(folder, images_of(splits["held-out"], 30), steps=10)
    recipe = protocol_of(make_recipe(scores=("fd", "kid")), published_names=True)
    scores, events = score_all(recipe, folder)
    assert [score.name for score in scores[:3]] == ["fid", "kid", "fd-digits-classifier@30"]
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert notice.endswith("published ones: 30 generated images, not 40")
    assert [score.warnings for score in scores] == [(), (), *[(notice,)] * 4]
    assert scores[0].provenance["protocol"]["images"] == 40
    other = make_recipe(features=("pixels",), scores=("fd",))
    (score, *_), _ = score_all(protocol_of(other), folder)
    assert score.name == "fd-pixels@40"
    assert "features dddm:pixels, not dddm:digits-classifier" in score.warnings[0]


def test_several_features_give_scores_each(folder: RunFolder, splits: dict[str, Split]) -> None:
    """All of one, then all of the other, each as if it had been alone."""
    put_samples(folder, images_of(splits["held-out"], 40), steps=1)
    put_samples(folder, images_of(splits["train"], 40), steps=2)
    both = make_recipe(features=("pixels", "digits-classifier"), scores=("fd",))
    scores, _ = score_all(both, folder)
    alone = [
        score
        for name in ("pixels", "digits-classifier")
        for score in score_all(make_recipe(features=(name,), scores=("fd",)), folder)[0]
    ]
    assert [score.features for score in scores] == ["pixels"] * 2 + ["digits-classifier"] * 2
    assert [score.value for score in scores] == pytest.approx([score.value for score in alone])


def test_a_run_is_scored_where_its_loss_has_no_weights(
    folder: RunFolder, splits: dict[str, Split]
) -> None:
    """The metric is asked only what it learned from; that it cannot say is said."""
    put_samples(folder, images_of(splits["train"], 20))
    recipe = make_recipe(scores=("fd",), metric="WeightlessMetric")
    (score,), _ = score_all(recipe, folder)
    (warning,) = score.warnings
    assert "unknown whether the metric toy was trained on digits" in warning


def test_features_that_are_no_numbers_are_refused(
    folder: RunFolder, splits: dict[str, Split]
) -> None:
    """Whatever is to be measured of them, with the image; scores before stay as they are."""
    images = images_of(splits["train"], 20).clone()
    images[7] = 0
    put_samples(folder, images)
    recipe = make_recipe(features=("broken",), scores=("nearest",))
    with pytest.raises(DataError, match="features of image 7 are not finite") as caught:
        score_all(recipe, folder)
    assert caught.value.where == "evaluate.features"
    assert not folder.scores.exists()


def test_what_can_be_refused_is_refused_before_an_image_is_looked_at(
    folder: RunFolder, splits: dict[str, Split]
) -> None:
    """Too few images for a score, and a set of another size among several."""
    put_samples(folder, images_of(splits["train"], 3))
    recipe = make_recipe(features=("broken",), scores=("fd", "precision-recall"))
    BrokenFeatures.seen = 0
    with pytest.raises(DataError, match=r'"precision-recall" needs at least 4 .* are 3 and'):
        score_all(recipe, folder)
    put_samples(folder, images_of(splits["train"], 9).repeat(1, 3, 1, 1), steps=2)
    with pytest.raises(DataError, match="fixed-time at 2 steps are 3×8×8, the real ones 1×8×8"):
        score_all(recipe, folder)
    assert BrokenFeatures.seen == 0


def test_a_damaged_file_of_scores(folder: RunFolder, splits: dict[str, Split]) -> None:
    """The recipe's scores take its place, which is said; a preset's would lose the others."""
    put_samples(folder, images_of(splits["train"], 20))
    folder.scores.write_text("[")
    recipe = make_recipe(features=("pixels",))
    with pytest.raises(DataError, match="cannot be read") as caught:
        evaluate(context_of(recipe, folder), requested_by="no-weights")
    assert "`dddm evaluate`" in str(caught.value.remedy)
    scores, events = score_all(recipe, folder)
    assert read_scores(folder.scores) == scores
    assert any(isinstance(event, Notice) and "measured again" in event.text for event in events)


@pytest.mark.parametrize("random", [True, False])
def test_a_protocol_of_classes_and_data(
    folder: RunFolder,
    splits: dict[str, Split],
    random: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Two seeds with other numbers of each class are one score; it says what was drawn."""
    for seed in (0, 1):
        images = images_of(splits["held-out"], 40)
        put_samples(folder, images, seed=seed, random_classes=random)
    of_classes = protocol_of(make_recipe(scores=("fd",)), classes="random")
    (score,), _ = score_all(of_classes, folder)
    assert len(score.provenance["sets"]) == 2
    assert score.samples["images_of_each_class"] == ("at random" if random else [4] * 10)
    assert score.name == ("fd-digits-classifier" if random else "fd-digits-classifier@40")
    assert ("classes of generated images in-turn, not random" in str(score.warnings)) != random
    of_data = protocol_of(make_recipe(scores=("fd",)), data_options=("resize=adm",))
    (score,), _ = score_all(of_data, folder)
    assert "training images of dddm:digits without resize=adm" in str(score.warnings)
    assert score.name == "fd-digits-classifier@40"
