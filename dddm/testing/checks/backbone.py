"""What a backbone promises; see `dddm.interfaces.backbone`.

Legend: B images, C channels, H rows, W columns; F the network's output.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, final

import attrs
import pytest
import torch
from attrs import evolve, frozen
from safetensors.torch import load, save
from torch import Tensor, nn

from dddm.core.forward_mode import jvp
from dddm.errors import UsageError
from dddm.interfaces.backbone import Backbone, second_time_argument
from dddm.interfaces.info import BackboneInfo, ImageShape
from dddm.testing.check import Suite
from dddm.testing.subject import Subject
from dddm.testing.tensors import (
    BATCHES,
    assert_close,
    assert_equal,
    assert_tensor,
    gpus,
    noise,
    perturb,
)

_ROUNDING: Final = 1e-6
_UNSEEN: Final = 1e-5
"""Of F's size: what rounding may change where a parameter of size 1 is added and cancels."""
_IN_BFLOAT16: Final = 0.1
_STEP: Final = 1e-2
_DERIVATIVE: Final = 0.05
_PARTS: Final = (0.1, 0.4)
"""Of a unit of time; rounded up, down or to the nearest integer they are one time."""
_EACH_BY_ITSELF: Final = "normalise each image by itself, as GroupNorm does"


@final
@frozen(kw_only=True)
class Inputs:
    """A batch as training gives it to a network: x_t, t, and what else it takes, or None."""

    estimate: Tensor | None
    x_t: Tensor
    t: Tensor
    label: Tensor | None
    second_time: Tensor | None = None

    @property
    def given(self) -> dict[str, Tensor]:
        """What is not None, by name."""
        values = attrs.asdict(self, recurse=False).items()
        return {name: value for name, value in values if value is not None}

    def each(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        """With a function applied to every tensor."""
        return evolve(self, **{name: change(value) for name, value in self.given.items()})

    def rows(self, index: Tensor) -> "Inputs":
        """Some of the images, in another order."""
        return self.each(lambda tensor: tensor[index])

    def through(self, network: Backbone) -> Tensor:
        """F, (B, C, H, W)."""
        out: Tensor = network(**attrs.asdict(self, recurse=False))
        return out

    def begin(self, network: Backbone) -> Any:
        """What `begin` makes of it."""
        more = second_time_argument(network, t=self.t, second_time=self.second_time)
        return network.begin(x_t=self.x_t, t=self.t, label=self.label, **more)


def _network(subject: Subject, shape: ImageShape, *, perturbed: bool = True) -> Backbone:
    """In eval mode."""
    network: Backbone = subject.make(shape=shape)
    if perturbed:
        perturb(network)
    return network.eval()


def _inputs(subject: Subject, network: Backbone, shape: ImageShape, *, count: int = 5) -> Inputs:
    """Noise at times from 1 to 1000, with what else the network takes."""
    labels = torch.arange(count) % subject.classes
    return Inputs(
        estimate=noise(count, *shape.as_tuple, seed=2) if network.takes_estimate else None,
        x_t=noise(count, *shape.as_tuple, seed=3),
        t=torch.linspace(1, 1000, count),
        label=labels if network.uses_labels else None,
        second_time=torch.linspace(1, 400, count) if network.takes_second_time else None,
    )


def _networks(subject: Subject) -> Iterator[tuple[Backbone, Inputs]]:
    """A network for the last shape, with a batch for it."""
    for network, batch, *_ in _with_subject(subject):
        yield network, batch


def _with_subject(subject: Subject) -> Iterator[tuple[Backbone, Inputs, Subject, ImageShape]]:
    shape = subject.shapes[-1]
    network = _network(subject, shape)
    yield network, _inputs(subject, network, shape), subject, shape


BACKBONE: Final = Suite(
    "backbone",
    interface=Backbone,
    cases=_networks,
    capabilities={
        "select": "images may leave a batch early",
        "lower-precision": "it computes under bfloat16 autocast, as `train.precision` asks for",
        "devices": "it computes on a GPU what it computes on the CPU",
    },
)


@BACKBONE.check(basis=True, cases=lambda subject: [(subject, shape) for shape in subject.shapes])
@torch.no_grad()
def shape_of_the_image(subject: Subject, shape: ImageShape) -> None:
    """F is (B, C, H, W), float32, finite, for every shape, odd batches and extreme times."""
    network = _network(subject, shape)
    for count in BATCHES:
        batch = _inputs(subject, network, shape, count=count)
        for t in (batch.t, torch.full_like(batch.t, 1e-3)):
            assert_tensor(
                evolve(batch, t=t).through(network),
                shape=(count, *shape.as_tuple),
                dtype=torch.float32,
                what=f"F of {count} images of {shape} at t = {t.tolist()}",
            )


@BACKBONE.check()
@torch.no_grad()
def always_the_same(network: Backbone, batch: Inputs) -> None:
    """In eval mode two passes are equal, bit for bit, for any random state of torch."""
    first = batch.through(network)
    torch.manual_seed(1)
    assert_equal(
        batch.through(network), first, "a second pass in eval mode differs: draw and keep nothing"
    )


@BACKBONE.check(cases=lambda subject: [(subject,)])
def weights_of_the_seed(subject: Subject) -> None:
    """Initial weights depend only on the seed of torch's generator."""
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(_network(subject, subject.shapes[0], perturbed=False).state_dict())
    same, again, other = states
    for name, value in same.items():
        assert_equal(value, again[name], f"one seed gave two values of {name}")
    differs = not same or any(not torch.equal(value, other[n]) for n, value in same.items())
    assert differs, "two seeds gave the same weights: let torch's own generator draw them"


@BACKBONE.check()
@torch.no_grad()
def begin_once_refine_often(network: Backbone, batch: Inputs) -> None:
    """One `begin` with a `refine` for each estimate equals `forward`, bit for bit, in any order."""
    cache = batch.begin(network)
    for seed in (5, 6, 5):
        estimate = noise(*batch.x_t.shape, seed=seed) if network.takes_estimate else None
        assert_equal(
            network.refine(cache, estimate=estimate),
            evolve(batch, estimate=estimate).through(network),
            "`refine` after another `refine` is not what `forward` gives: keep nothing between "
            "calls, and write into nothing that `begin` made",
        )


@BACKBONE.check()
@torch.no_grad()
def refine_leaves_the_cache(network: Backbone, batch: Inputs) -> None:
    """`refine` does not modify what `begin` returned."""
    cache = batch.begin(network)
    before = [tensor.clone() for tensor in _tensors_in(cache)]
    network.refine(cache, estimate=batch.estimate)
    for kept, now in zip(before, _tensors_in(cache), strict=True):
        assert_equal(now, kept, "a tensor of it was changed: do not write in place")


def _tensors_in(cache: Any) -> list[Tensor]:
    """All tensors in a cache, whatever holds them."""
    if isinstance(cache, Tensor):
        return [cache]
    inner: Iterable[Any] = ()
    if isinstance(cache, Mapping):
        inner = cache.values()
    elif isinstance(cache, list | tuple):
        inner = cache
    elif attrs.has(type(cache)):
        inner = [getattr(cache, field.name) for field in attrs.fields(type(cache))]
    elif hasattr(cache, "__dict__"):
        inner = vars(cache).values()
    return [tensor for one in inner for tensor in _tensors_in(one)]


@BACKBONE.check()
@torch.no_grad()
def images_on_their_own(network: Backbone, batch: Inputs) -> None:
    """An image's F does not depend on the rest of the batch or its order, up to rounding."""
    out = batch.through(network)
    for index in (torch.tensor([3, 0, 4, 2, 1]), torch.tensor([2])):
        assert_close(
            batch.rows(index).through(network),
            out[index],
            f"F of an image depends on the rest of the batch: {_EACH_BY_ITSELF}",
        )


@BACKBONE.check()
@torch.no_grad()
def images_on_their_own_in_training(network: Backbone, batch: Inputs) -> None:
    """In training mode, F of an image does not depend on other images, and no buffer changes."""
    network.train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    # Dropout drops the same in both passes: they begin with one random state.
    torch.manual_seed(0)
    out = batch.through(network)
    for name, value in network.named_buffers():
        message = f"a pass in training mode changed {name}: keep no running statistics"
        assert_equal(value, before[name], message)
    others = batch.each(lambda tensor: torch.cat([tensor[:1], tensor[1:].flip(0) / 2]))
    if batch.label is not None:
        others = evolve(others, label=batch.label[:1].expand(len(batch.t)))
    torch.manual_seed(0)
    assert_close(
        others.through(network)[:1],
        out[:1],
        f"in training mode F of an image depends on the rest of the batch: {_EACH_BY_ITSELF}",
    )


@BACKBONE.check()
def gradient_to_every_parameter(network: Backbone, batch: Inputs) -> None:
    """A gradient reaches every trainable parameter on which F depends; none is unused."""
    scalar = (batch.through(network) * noise(*batch.x_t.shape, seed=4)).sum()
    wanted = {n: p for n, p in network.named_parameters() if p.requires_grad}
    if not wanted:
        pytest.skip("it has no parameters")
    found = torch.autograd.grad(scalar, list(wanted.values()), allow_unused=True)
    size = {
        name: 0.0 if slope is None else float(slope.abs().max())
        for name, slope in zip(wanted, found, strict=True)
    }
    small = [name for name in size if not size[name] > _ROUNDING * max(size.values())]
    # A gradient of rounding errors was computed, so the parameter is used.  That is in order if F
    # does not change with it either, as with a bias on keys, which softmax cannot see.
    unused = [n for n in small if not size[n] or _matters(wanted[n], network, batch)]
    assert not unused, (
        f"none reaches {', '.join(unused[:5])}: use it, remove it, or say requires_grad = False"
    )


@torch.no_grad()
def _matters(parameter: nn.Parameter, network: Backbone, batch: Inputs) -> bool:
    """Whether F changes with this parameter by more than rounding."""
    before = batch.through(network)
    kept = parameter.clone()
    parameter.add_(noise(*parameter.shape, seed=5))
    after = batch.through(network)
    parameter.copy_(kept)
    return float((after - before).abs().max()) > _UNSEEN * float(before.abs().max())


@BACKBONE.check(cases=_with_subject)
@torch.no_grad()
def everything_given_matters(
    network: Backbone, batch: Inputs, subject: Subject, _: ImageShape
) -> None:
    """F depends on x_t, and on t, estimate, label and second time if the network takes them."""
    out = batch.through(network)
    facts = subject.facts(BackboneInfo) or BackboneInfo()
    remedies = {"estimate": "takes_estimate", "label": "uses_labels",
                "second_time": "takes_second_time", "t": "BackboneInfo.time"}  # fmt: skip
    for name, value in batch.given.items():
        changed = evolve(batch, **{name: value.flip(0)}).through(network)
        if name == "t" and not facts.time:
            message = "F depends on t, but its info says time=False: describe it by time=True"
            assert_equal(changed, out, message)
            continue
        remedy = f": let {remedies[name]} be False" if name in remedies else ""
        assert (changed - out).abs().max() > _ROUNDING * out.abs().max(), (
            f"F is the same with another {name}{remedy}"
        )


@BACKBONE.check(cases=_with_subject)
@torch.no_grad()
def real_times(network: Backbone, batch: Inputs, subject: Subject, _: ImageShape) -> None:
    """F is different at times between the same two integers."""
    facts = subject.facts(BackboneInfo) or BackboneInfo()
    for name in ("t", "second_time"):
        value = batch.given.get(name)
        if value is None or (name == "t" and not facts.time):
            continue
        one, other = (
            evolve(batch, **{name: value.floor() + part}).through(network) for part in _PARTS
        )
        assert (one - other).abs().max() > _ROUNDING * one.abs().max(), (
            f"F is the same at {_PARTS[0]} and {_PARTS[1]} past a whole {name}: do not round "
            "times, which are real numbers, as by .long() for a table of embeddings"
        )


@BACKBONE.check(cases=lambda subject: [(subject, subject.shapes[0])])
@torch.no_grad()
def tells_classes_apart(subject: Subject, shape: ImageShape) -> None:
    """Where it uses labels, F of an image is different for every class."""
    network = _network(subject, shape)
    if not network.uses_labels:
        pytest.skip("it uses no labels")
    one = _inputs(subject, network, shape, count=1)
    every = evolve(
        one.rows(torch.zeros(subject.classes, dtype=torch.int64)),
        label=torch.arange(subject.classes),
    )
    out = every.through(network).flatten(1)
    size = out.abs().max()
    for label in range(1, subject.classes):
        apart = (out[:label] - out[label]).abs().amax(1)
        same = (apart <= _ROUNDING * size).nonzero().flatten().tolist()
        assert not same, (
            f"F is the same for the classes {same[0]} and {label}: give each of the `classes` an "
            "embedding of its own"
        )


@BACKBONE.check(cases=lambda subject: [(subject, subject.shapes[0])])
@torch.no_grad()
def labels(subject: Subject, shape: ImageShape) -> None:
    """`uses_labels` is a bool, and F is finite for every class."""
    network = _network(subject, shape)
    assert isinstance(network.uses_labels, bool), f"uses_labels is {network.uses_labels!r}"
    batch = _inputs(subject, network, shape, count=max(2, subject.classes))
    assert batch.through(network).isfinite().all(), "F is not finite for some class"


@BACKBONE.check(cases=lambda subject: [(subject,)])
def what_it_takes(subject: Subject) -> None:
    """Its info states whether it takes an estimate, a second time and classes."""
    network = _network(subject, subject.shapes[0])
    facts = subject.facts(BackboneInfo) or BackboneInfo()
    for name, said, found in (
        ("takes_estimate", facts.estimate, network.takes_estimate),
        ("takes_second_time", facts.second_time, network.takes_second_time),
    ):
        assert found is said, (
            f"{name} is {found!r}, but its info says {said}: register it with describe=, a "
            "function from options to BackboneInfo"
        )
    assert facts.classes or not network.uses_labels, (
        "uses_labels is True, but its info says classes=False"
    )


@BACKBONE.check(cases=_with_subject)
def forward_mode(network: Backbone, batch: Inputs, subject: Subject, _: ImageShape) -> None:
    """Its forward-mode derivative along all inputs equals finite differences, to 5%."""
    facts = subject.facts(BackboneInfo)
    if facts is not None and not facts.forward_mode:
        pytest.skip("its info says that it has no forward-mode derivative")
    given = {name: value for name, value in batch.given.items() if name != "label"}
    remedy = (
        "compute with what torch.func.jvp knows, or describe it by BackboneInfo(forward_mode=False)"
    )

    def through(*values: Tensor) -> Tensor:
        changed = dict(zip(given, values, strict=True))
        return evolve(batch, **changed).through(network)

    at = tuple(given.values())
    along = tuple(noise(*value.shape, seed=6) for value in at)
    try:
        value, derivative = jvp(through, at, along)
    except UsageError as error:
        raise AssertionError(f"{error.what}: {remedy}") from error
    assert value.requires_grad, "its value carries no gradient"
    with torch.no_grad():
        ahead, behind = (
            through(*(v + step * d for v, d in zip(at, along, strict=True)))
            for step in (_STEP, -_STEP)
        )
        assert_close(value.detach(), through(*at), "its value is not what a pass gives")
    assert_close(
        derivative.detach(),
        (ahead - behind) / (2 * _STEP),
        f"its derivative is not that of finite differences: {remedy}",
        relative=_DERIVATIVE,
    )


@BACKBONE.check(cases=_with_subject)
@torch.no_grad()
def state_round_trip(network: Backbone, batch: Inputs, subject: Subject, shape: ImageShape) -> None:
    """Weights saved as safetensors and loaded into a new network give the same F."""
    saved = save({name: v.contiguous().clone() for name, v in network.state_dict().items()})
    torch.manual_seed(1)
    other = _network(subject, shape, perturbed=False)
    other.load_state_dict(load(saved))
    assert_equal(
        batch.through(other),
        batch.through(network),
        "F of the loaded network differs: keep all that F depends on in parameters or buffers",
    )


@BACKBONE.check()
@torch.no_grad()
def copies(network: Backbone, batch: Inputs) -> None:
    """A deep copy, as used for averaged weights, shares no parameters and gives the same F."""
    out = batch.through(network)
    other = copy.deepcopy(network)
    assert_equal(batch.through(other), out, "F of the copy differs")
    perturb(network)
    assert_equal(
        batch.through(other),
        out,
        "F of the copy changed with the weights of the original: hold parameters in modules, not "
        "in functions or globals",
    )


@BACKBONE.check()
@torch.no_grad()
def inputs_unchanged(network: Backbone, batch: Inputs) -> None:
    """A pass does not modify its inputs."""
    before = batch.each(torch.clone)
    batch.through(network)
    for name, kept in before.given.items():
        assert_equal(batch.given[name], kept, f"{name} was changed")


@BACKBONE.check()
def keeps_its_mode(network: Backbone, batch: Inputs) -> None:
    """In eval mode a pass does not change parameters, buffers or the mode."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch.through(network)
    assert not network.training, "it is in training mode afterwards"
    for name, value in network.state_dict().items():
        assert_equal(value, before[name], f"{name} was changed")


@BACKBONE.check()
def trains(network: Backbone, batch: Inputs) -> None:
    """In training mode the gradient is finite, and one small step against it lowers a loss."""

    def loss() -> Tensor:
        torch.manual_seed(0)  # dropout drops the same before and after the step
        return (batch.through(network) - noise(*batch.x_t.shape, seed=7)).square().mean()

    network.train()
    wanted = [p for p in network.parameters() if p.requires_grad]
    if not wanted:
        pytest.skip("it has no parameters")
    before = loss()
    slopes = torch.autograd.grad(before, wanted, allow_unused=True)
    square = sum(float(slope.square().sum()) for slope in slopes if slope is not None)
    assert 0 < square < float("inf"), f"the squared norm of the gradient is {square:g}"
    with torch.no_grad():
        for parameter, slope in zip(wanted, slopes, strict=True):
            if slope is not None:
                parameter.sub_(1e-4 * before.item() / square * slope)
    after = loss().item()
    assert after < before.item(), f"the loss went from {before.item():g} to {after:g}"


@BACKBONE.check(capability="select")
@torch.no_grad()
def select(network: Backbone, batch: Inputs) -> None:
    """`select` returns what `begin` would have returned for the selected images."""
    index = torch.tensor([3, 0])
    try:
        chosen = network.select(batch.begin(network), index=index)
    except UsageError:
        pytest.skip("it does not say how images leave a batch")
    some = batch.rows(index)
    assert_close(
        network.refine(chosen, estimate=some.estimate),
        some.through(network),
        "F of selected images is not theirs: index every tensor of the cache by `index`",
    )


@BACKBONE.check(capability="lower-precision")
@torch.no_grad()
def lower_precision(network: Backbone, batch: Inputs) -> None:
    """Under bfloat16 autocast F is finite, and within 10% of that in float32."""
    out = batch.through(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = batch.through(network).float()
    assert found.isfinite().all(), "F is not finite"
    off, size = (float(t.square().mean().sqrt()) for t in (found - out, out))
    assert off <= _IN_BFLOAT16 * size, f"F is off by {off:.3g}, and its size is {size:.3g}"


@BACKBONE.check(capability="devices")
@torch.no_grad()
def devices(network: Backbone, batch: Inputs) -> None:
    """On a GPU, F equals that on the CPU, to 1e-3."""
    out = batch.through(network)
    for device in gpus():
        network.to(device)
        there = {name: value.to(device) for name, value in batch.given.items()}
        found = evolve(batch, **there).through(network)
        assert_close(found.cpu(), out, f"F on {device} differs", relative=1e-3)
