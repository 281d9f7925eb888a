"""What a backbone promises; see `dddm.interfaces.backbone`.

Legend: B images, C channels, H rows, W columns.
"""

import copy
from typing import Any, Final

import attrs
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from dddm.core.forward_mode import jvp
from dddm.errors import UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import BackboneInfo, ImageShape
from dddm.testing.check import ConformanceFailure, Suite, expect
from dddm.testing.material import (
    BATCHES,
    expect_close,
    expect_equal,
    expect_tensor,
    gpus,
    noise,
    perturb,
)
from dddm.testing.network_inputs import Inputs, inputs_of, network_of, networks, tensors_in
from dddm.testing.subject import LeftOut, Subject

BACKBONE: Final = Suite(
    "backbone",
    capabilities={
        "select": "images may leave a batch early",
        "lower-precision": "it computes under bfloat16 autocast, as `train.precision` asks for",
        "devices": "it computes on a GPU what it computes on the CPU",
    },
)

_ROUNDING: Final = 1e-6
_HARDLY: Final = 1e-6
_UNSEEN: Final = 1e-5
"""Of F's size: what rounding may change where a parameter of size 1 is added and cancels."""
_IN_BFLOAT16: Final = 0.1
_UNUSED: Final = {
    "estimate": "let takes_estimate be False where the estimate is ignored",
    "label": "let uses_labels be False where labels are ignored",
    "second_time": "let takes_second_time be False where it is ignored",
}
_STEP: Final = 1e-2
_DERIVATIVE: Final = 0.05


@BACKBONE.check(basis=True)
@torch.no_grad()
def shape_of_the_image(subject: Subject) -> None:
    """F is (B, C, H, W), float32, finite, for every shape, odd batches and the ends of time."""
    for shape in subject.shapes:
        network = network_of(subject, shape)
        for count in BATCHES:
            batch = inputs_of(subject, network, shape, count=count)
            expect_tensor(
                batch.through(network),
                shape=(count, *shape.as_tuple),
                dtype=torch.float32,
                what=f"F of {count} images of {shape}",
            )
            batch.t.fill_(1e-3)
            expect_tensor(
                batch.through(network),
                shape=(count, *shape.as_tuple),
                dtype=torch.float32,
                what="F at t = 0.001",
            )


@BACKBONE.check()
@torch.no_grad()
def always_the_same(subject: Subject) -> None:
    """In eval mode two passes are equal, bit for bit, whatever torch's random state is."""
    for network, batch in networks(subject):
        first = batch.through(network)
        torch.manual_seed(1)
        expect_equal(
            batch.through(network),
            first,
            "a second pass differs",
            remedy="draw nothing, and keep no state, in eval mode",
        )


@BACKBONE.check()
def weights_of_the_seed(subject: Subject) -> None:
    """A network's first weights come from torch's generator: one seed makes one network."""
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(network_of(subject, subject.shapes[0], moved=False).state_dict())
    same, again, other = states
    for name, value in same.items():
        expect_equal(value, again[name], f"one seed gave two values of {name}")
    if same:
        expect(
            any(not torch.equal(value, other[name]) for name, value in same.items()),
            "two seeds gave the same weights",
            remedy="let torch's own generator draw them",
        )


@BACKBONE.check()
@torch.no_grad()
def begin_once_refine_often(subject: Subject) -> None:
    """`begin` once and `refine` for each estimate is `forward`, bit for bit, in any order."""
    for network, batch in networks(subject):
        cache = batch.begin(network)
        for seed in (5, 6, 5):
            estimate = noise(*batch.x_t.shape, seed=seed) if network.takes_estimate else None
            other = attrs.evolve(batch, estimate=estimate)
            expect_equal(
                network.refine(cache, estimate=other.estimate),
                other.through(network),
                "`refine` after another `refine` is not what `forward` gives",
                remedy="keep nothing between calls, and write into nothing that `begin` made",
            )


@BACKBONE.check()
@torch.no_grad()
def refine_leaves_the_cache(subject: Subject) -> None:
    """`refine` changes nothing of what `begin` returned."""
    for network, batch in networks(subject):
        cache = batch.begin(network)
        before = [tensor.clone() for tensor in tensors_in(cache)]
        network.refine(cache, estimate=batch.estimate)
        for kept, now in zip(before, tensors_in(cache), strict=True):
            expect_equal(now, kept, "a tensor of it was changed", remedy="do not write in place")


@BACKBONE.check()
@torch.no_grad()
def images_on_their_own(subject: Subject) -> None:
    """An image's F is the same alone, and in any order, as in its batch, up to rounding."""
    for network, batch in networks(subject):
        out = batch.through(network)
        order = torch.tensor([3, 0, 4, 2, 1])
        for index in (order, torch.tensor([2])):
            expect_close(
                batch.rows(index).through(network),
                out[index],
                "what an image gives depends on what else is in the batch",
                remedy="normalise each image by itself, as GroupNorm does",
            )


@BACKBONE.check()
@torch.no_grad()
def images_on_their_own_in_training(subject: Subject) -> None:
    """In training mode too an image's F depends on no other image, and no buffer changes."""
    for network, batch in networks(subject):
        network.train()
        before = {name: value.clone() for name, value in network.named_buffers()}
        # Dropout drops the same in both passes: they begin from one random state.
        torch.manual_seed(0)
        out = batch.through(network)
        for name, value in network.named_buffers():
            expect_equal(
                value,
                before[name],
                f"a pass in training mode changed {name}",
                remedy="keep no running statistics: normalise each image by itself, as GroupNorm "
                "does",
            )
        torch.manual_seed(0)
        expect_close(
            _with_other_neighbours(batch).through(network)[:1],
            out[:1],
            "in training mode what an image gives depends on what else is in the batch",
            remedy="normalise each image by itself, as GroupNorm does",
        )


def _with_other_neighbours(batch: Inputs) -> Inputs:
    """The batch with its first image as it was, and others in the places of the rest."""
    shape = (len(batch.t) - 1, *batch.x_t.shape[1:])
    return attrs.evolve(
        batch,
        estimate=None
        if batch.estimate is None
        else torch.cat([batch.estimate[:1], 2 * noise(*shape, seed=8)]),
        x_t=torch.cat([batch.x_t[:1], 2 * noise(*shape, seed=9)]),
        t=torch.cat([batch.t[:1], batch.t[1:] / 2]),
        second_time=None
        if batch.second_time is None
        else torch.cat([batch.second_time[:1], batch.second_time[1:] / 2]),
        label=None if batch.label is None else batch.label[:1].expand(len(batch.t)),
    )


@BACKBONE.check()
def gradient_to_every_parameter(subject: Subject) -> None:
    """A gradient reaches every parameter that wants one, or F does not change with it."""
    for network, batch in networks(subject):
        scalar = (batch.through(network) * noise(*batch.x_t.shape, seed=4)).sum()
        wanted = {n: p for n, p in network.named_parameters() if p.requires_grad}
        if not wanted:
            raise LeftOut("it has no parameters")
        found = torch.autograd.grad(scalar, list(wanted.values()), allow_unused=True)
        size = {
            name: 0.0 if slope is None else float(slope.abs().max())
            for name, slope in zip(wanted, found, strict=True)
        }
        small = [name for name in size if not size[name] > _ROUNDING * max(size.values())]
        # What is rounding, and not nothing, was computed: the parameter is used.  It is in order
        # if F does not change with it either, as with a bias on keys, which softmax cannot see.
        unused = [
            name for name in small if not size[name] or _matters(wanted[name], network, batch)
        ]
        expect(
            not unused,
            f"none reaches {', '.join(unused[:5])}",
            remedy="use it, remove it, or say requires_grad = False",
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


@BACKBONE.check()
@torch.no_grad()
def everything_given_matters(subject: Subject) -> None:
    """F changes with x_t, t, and the estimate, label and second time where it takes them."""
    for network, batch in networks(subject):
        out = batch.through(network)
        scale = float(out.abs().max())
        for name in ("estimate", "x_t", "t", "label", "second_time"):
            given = getattr(batch, name)
            if given is None:
                continue
            changed = attrs.evolve(batch, **{name: given.flip(0)}).through(network)
            expect(
                float((changed - out).abs().max()) > _HARDLY * scale,
                f"F is the same with another {name.replace('_', ' ') if name != 'x_t' else name}",
                remedy=_UNUSED.get(name),
            )


@BACKBONE.check()
@torch.no_grad()
def labels(subject: Subject) -> None:
    """`uses_labels` is a bool; every class is taken, and without labels a network needs none."""
    shape = subject.shapes[0]
    network = network_of(subject, shape)
    expect(isinstance(network.uses_labels, bool), f"uses_labels is {network.uses_labels!r}")
    batch = inputs_of(subject, network, shape, count=max(2, subject.classes))
    expect(
        bool(batch.through(network).isfinite().all()),
        "F is not finite" + (" for some class" if network.uses_labels else " without labels"),
    )


@BACKBONE.check()
def what_it_takes(subject: Subject) -> None:
    """Its facts say, before it is built, whether it takes an estimate and a second time."""
    network = network_of(subject, subject.shapes[0])
    describe = subject.component.describe
    facts = None if describe is None else describe(subject.use.options)
    if not isinstance(facts, BackboneInfo):
        facts = BackboneInfo()
    for name, said, found in (
        ("takes_estimate", facts.estimate, network.takes_estimate),
        ("takes_second_time", facts.second_time, network.takes_second_time),
    ):
        expect(isinstance(found, bool), f"{name} is {found!r}")
        expect(
            found == said,
            f"{name} is {found}, and its facts say {said}",
            remedy="register it with describe=, a function from options to BackboneInfo",
        )


@BACKBONE.check()
def forward_mode(subject: Subject) -> None:
    """Along all that it is given a network has the derivative of finite differences, to 5%."""
    describe = subject.component.describe
    facts = None if describe is None else describe(subject.use.options)
    if isinstance(facts, BackboneInfo) and not facts.forward_mode:
        raise LeftOut("its facts say that it has no forward-mode derivative")
    for network, batch in networks(subject):
        given = attrs.asdict(batch, recurse=False)
        names = [name for name, v in given.items() if v is not None and name != "label"]

        def through(
            *values: Tensor,
            network: Backbone = network,
            names: list[str] = names,
            batch: Any = batch,
        ) -> Tensor:
            changed: Inputs = attrs.evolve(batch, **dict(zip(names, values, strict=True)))
            return changed.through(network)

        at = tuple(given[name] for name in names)
        along = tuple(noise(*value.shape, seed=6) for value in at)
        try:
            value, derivative = jvp(through, at, along)
        except UsageError as error:
            raise ConformanceFailure(
                error.what,
                remedy="compute with what torch.func.jvp knows, or describe the network by "
                "BackboneInfo(forward_mode=False)",
            ) from error
        expect(value.requires_grad, "its value carries no gradient")
        with torch.no_grad():
            ahead, behind = (
                through(*(v + sign * _STEP * d for v, d in zip(at, along, strict=True)))
                for sign in (1, -1)
            )
            expect_close(value.detach(), through(*at), "its value is not what a pass gives")
        expect_close(
            derivative.detach(),
            (ahead - behind) / (2 * _STEP),
            "its derivative is not that of finite differences",
            relative=_DERIVATIVE,
            remedy="compute with what torch.func.jvp knows, or describe the network by "
            "BackboneInfo(forward_mode=False)",
        )


@BACKBONE.check()
@torch.no_grad()
def state_round_trip(subject: Subject) -> None:
    """Weights that were saved as safetensors and loaded into a new network give the same F."""
    for network, batch in networks(subject):
        out = batch.through(network)
        saved = save({name: v.contiguous().clone() for name, v in network.state_dict().items()})
        torch.manual_seed(1)
        shape = ImageShape(
            channels=batch.x_t.shape[1], height=batch.x_t.shape[2], width=batch.x_t.shape[3]
        )
        other = network_of(subject, shape, moved=False)
        other.load_state_dict(load(saved))
        expect_equal(
            batch.through(other),
            out,
            "F of the loaded network differs",
            remedy="keep all that F depends on in parameters or buffers",
        )


@BACKBONE.check()
@torch.no_grad()
def copies(subject: Subject) -> None:
    """A deep copy, as averaged weights are kept in, shares nothing and gives the same F."""
    for network, batch in networks(subject):
        out = batch.through(network)
        other = copy.deepcopy(network)
        expect_equal(batch.through(other), out, "F of the copy differs")
        perturb(network)
        expect_equal(
            batch.through(other),
            out,
            "F of the copy changed with the weights of the first",
            remedy="hold parameters in modules, not in functions or globals",
        )


@BACKBONE.check()
@torch.no_grad()
def inputs_unchanged(subject: Subject) -> None:
    """A pass changes none of the tensors that it is given."""
    for network, batch in networks(subject):
        before = {
            name: value.clone()
            for name, value in attrs.asdict(batch, recurse=False).items()
            if value is not None
        }
        batch.through(network)
        for name, kept in before.items():
            expect_equal(getattr(batch, name), kept, f"{name} was changed")


@BACKBONE.check()
def keeps_its_mode(subject: Subject) -> None:
    """A pass changes neither parameters, nor buffers, nor the mode, of a network in eval mode."""
    for network, batch in networks(subject):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        batch.through(network)
        expect(not network.training, "it is in training mode afterwards")
        for name, value in network.state_dict().items():
            expect_equal(value, before[name], f"{name} was changed")


@BACKBONE.check()
def trains(subject: Subject) -> None:
    """In training mode a pass has a finite gradient, and one small step against it helps."""
    shape = subject.shapes[0]
    network = network_of(subject, shape).train()
    batch = inputs_of(subject, network, shape)
    wanted = [p for p in network.parameters() if p.requires_grad]
    if not wanted:
        raise LeftOut("it has no parameters")
    loss = _loss(network, batch)
    slopes = torch.autograd.grad(loss, wanted, allow_unused=True)
    square = sum(float(slope.square().sum()) for slope in slopes if slope is not None)
    expect(0 < square < float("inf"), f"the gradient's square is {square:g}")
    with torch.no_grad():
        for parameter, slope in zip(wanted, slopes, strict=True):
            if slope is not None:
                parameter.sub_(1e-4 * loss.item() / square * slope)
    torch.manual_seed(0)
    # Dropout may hide a step this small: then it is the gradient that counts.
    if not any(isinstance(m, nn.Dropout) and m.p for m in network.modules()):
        before, after = loss.item(), _loss(network, batch).item()
        expect(after < before, f"the loss went from {before:g} to {after:g}")


def _loss(network: Backbone, batch: Inputs) -> Tensor:
    """To an arbitrary target."""
    return (batch.through(network) - noise(*batch.x_t.shape, seed=7)).square().mean()


@BACKBONE.check(capability="select")
@torch.no_grad()
def select(subject: Subject) -> None:
    """`select` gives what `begin` would have given for these images of the batch alone."""
    for network, batch in networks(subject):
        index = torch.tensor([3, 0])
        try:
            chosen = network.select(batch.begin(network), index=index)
        except UsageError as error:
            raise LeftOut("it does not say how images leave a batch") from error
        some = batch.rows(index)
        expect_close(
            network.refine(chosen, estimate=some.estimate),
            some.through(network),
            "F of selected images is not theirs",
            remedy="index every tensor of the cache by `index`",
        )


@BACKBONE.check(capability="lower-precision")
@torch.no_grad()
def lower_precision(subject: Subject) -> None:
    """Under bfloat16 autocast F is finite, and a tenth of its size from float32's at most."""
    for network, batch in networks(subject):
        out = batch.through(network)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = batch.through(network).float()
        expect(bool(found.isfinite().all()), "F is not finite")
        off = float((found - out).square().mean().sqrt())
        size = float(out.square().mean().sqrt())
        expect(off <= _IN_BFLOAT16 * size, f"F is off by {off:.3g}, and its size is {size:.3g}")


@BACKBONE.check(capability="devices")
@torch.no_grad()
def devices(subject: Subject) -> None:
    """On a GPU it computes what it computes on the CPU, to 1e-3."""
    devices = list(gpus())
    for network, batch in networks(subject):
        out = batch.through(network)
        for device in devices:
            network.to(device)
            found = batch.to(device).through(network)
            expect_close(found.cpu(), out, f"on {device} F differs", relative=1e-3)
