"""How sets of images are compared (Deng, Li, Li, Du & He 2026, arXiv 2602.04770).

n generated images g and m real ones r of one class, in features φ scaled so that real images have
mean distance 1, at several temperatures τ:

    L = [ −‖φ(g_i) − φ(r_j)‖/τ  |  −‖φ(g_i) − φ(g_k)‖/τ, k ≠ i ]                    n × (m + n)
    A = √(softmax over columns of L ∘ softmax over rows of L) = [A⁺ | A⁻]
    V = (A⁺ ∘ rowsum A⁻) φ(r) − (A⁻ ∘ rowsum A⁺) φ(g),  divided by its root mean square
    loss = mean of (φ(g) − sg(φ(g) + Σ_τ V))²

V moves each generated image towards real ones near it and away from generated ones near it; it
vanishes where both sets have the same distribution.  The loss hardly falls, because V is
normalised; follow its root mean square before that, which is returned beside the loss.

The loss is averaged over the groups of a kind of features (`kernels`), then over kinds by their
weights.  Every mean is over one set, so that the loss of a set depends on that set alone.

Legend: B = G n generated images in G sets, m real ones in each, N training images, C channels,
H rows, W columns, P places of D features.
"""

from abc import ABC
from collections.abc import Sequence
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.data_report import ProgressCallback
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Features
from dddm.interfaces.info import DatasetInfo
from dddm.interfaces.objective import Objective
from dddm.support.images import from_uint8
from dddm.support.noise import generator_for
from dddm_objectives import kernels
from dddm_objectives.kernels import Groups
from dddm_objectives.set_options import ComparisonOptions

_SMALLEST: Final = 1e-6
"""Divisor where all images of a set, or all forces, are equal."""
_PAIRED: Final = 32
"""Real images of a set from which the mean distance is estimated: pairs grow with the square."""
_KEPT_BYTES: Final = 2**30
"""Features of real images that are kept; more are computed again at each step."""
_AT_A_TIME: Final = 100


@final
@frozen(kw_only=True, eq=False)
class Kind:
    """Groups of features of one kind, and its weight among the kinds.

    Attributes:
        network: whether a trained network makes them, so that those of real images are kept.
    """

    groups: Groups
    weight: float
    network: bool = False


@final
class Comparison:
    """The loss above in all kinds of features that the options name."""

    def __init__(self, options: ComparisonOptions) -> None:
        self._temperatures = options.temperatures
        self._places = options.places
        self._features: Features | None = None
        every = [
            Kind(groups=kernels.pixels(options.pixel_windows), weight=options.pixels),
            Kind(groups=kernels.patches(options.patch_sizes), weight=options.patches),
            Kind(groups=kernels.contrast(options.patch_sizes), weight=options.contrast),
            Kind(groups=kernels.random_network(), weight=options.random),
            Kind(groups=kernels.statistics, weight=options.statistics),
        ]
        if options.features is not None and options.features_weight > 0:
            self._features = options.features.instantiate()
            groups = kernels.of_features(self._features)
            every.append(Kind(groups=groups, weight=options.features_weight, network=True))
        self._kinds = [kind for kind in every if kind.weight > 0]
        self._kept: dict[Groups, list[Tensor]] = {}

    def to(self, device: torch.device) -> None:
        """Move the network of `features` to `device`."""
        if self._features is not None:
            self._features.to(device)

    def prepare(
        self, *, images: Split, flips: bool, device: torch.device, progress: ProgressCallback
    ) -> str | None:
        """Prepare the features, which may learn from these images; see `Objective`.

        Returns:
            what was learned, for the log.
        """
        sentence = None
        if self._features is not None:
            sentence = self._features.prepare(
                images=images, flips=flips, device=device, progress=progress
            )
        for kind in self._kinds:
            if kind.network:
                self._keep(kind.groups, images=images, device=device, progress=progress)
        return sentence

    def prepare_shapes(self, images: DatasetInfo) -> float:
        """The shapes of what `prepare` makes, on the meta device; see `Objective`."""
        learning = 0.0 if self._features is None else self._features.prepare_shapes(images)
        one_1CHW = torch.empty(1, *images.shape.as_tuple, device="meta")
        for kind in self._kinds:
            if kind.network:
                found = kind.groups(one_1CHW)
                if sum(group.nbytes for group in found) * images.train_images <= _KEPT_BYTES:
                    count = images.train_images
                    self._kept[kind.groups] = [group.expand(count, -1, -1) for group in found]
        return learning

    def _keep(
        self, groups: Groups, *, images: Split, device: torch.device, progress: ProgressCallback
    ) -> None:
        """Compute the features of all training images once, unless they are too many."""
        kept: list[list[Tensor]] = []
        for index_B in torch.split(torch.arange(len(images)), _AT_A_TIME):
            with torch.no_grad():
                found = groups(from_uint8(images.images(index_B).to(device)))
            if sum(group[0].nbytes for group in found) * len(images) > _KEPT_BYTES:
                return
            kept.append(list(found))
            progress("features of the training images", int(index_B[-1]) + 1, len(images))
        self._kept[groups] = [torch.cat(parts) for parts in zip(*kept, strict=True)]

    def __call__(
        self,
        generated: Tensor,
        real: Tensor,
        *,
        index: Tensor | None = None,
        step: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """The loss, with gradient, and the size of the drift before it is normalised: scalars.

        Args:
            generated: (G n, C, H, W), in [-1, 1]; those of a set stand beside each other.
            real: (G, m, C, H, W), in [-1, 1], as they are in the data set.
            index: (G, m), of the real images in the training split; None to compute their
                features even where they are kept.
            step: of the run, which decides the places that are compared.
        """
        losses, drifts = [], []
        for kind in self._kinds:
            phi_g = kind.groups(generated)
            phi_r = self._of_real(kind.groups, real, index)
            found = [
                self._compare(*self._chosen(g_BPD, r_GmPD, step))
                for g_BPD, r_GmPD in zip(phi_g, phi_r, strict=True)
            ]
            losses.append(torch.stack([loss for loss, _ in found]).mean())
            drifts.append(torch.stack([size for _, size in found]).mean())
        return self._average(losses), self._average(drifts)

    def _average(self, by_kind: Sequence[Tensor]) -> Tensor:
        # By numbers of the host: a tensor of weights would be copied to the device at each step.
        total = sum(kind.weight for kind in self._kinds)
        pairs = zip(self._kinds, by_kind, strict=True)
        return torch.stack([kind.weight / total * value for kind, value in pairs]).sum()

    def _of_real(self, groups: Groups, real_GmCHW: Tensor, index: Tensor | None) -> list[Tensor]:
        """Each group of the real images, (G, m, P, D), without gradient."""
        sets, each = real_GmCHW.shape[:2]
        if index is not None and groups in self._kept:
            return [kept_NPD[index.to(kept_NPD.device)] for kept_NPD in self._kept[groups]]
        with torch.no_grad():
            found = groups(real_GmCHW.flatten(0, 1))
        return [phi_BPD.reshape(sets, each, *phi_BPD.shape[1:]) for phi_BPD in found]

    def _chosen(self, g_BPD: Tensor, r_GmPD: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Generated and real features by set, (G, P, n, D) and (G, P, m, D), at this step's places.

        Comparisons grow with the places, and a few are enough where they change.
        """
        g_GnPD = g_BPD.reshape(len(r_GmPD), -1, *g_BPD.shape[1:])
        count = g_BPD.shape[1]
        if count > self._places:
            order = torch.randperm(count, generator=generator_for("places", step))
            place = order[: self._places].sort().values.to(g_BPD.device)
            g_GnPD, r_GmPD = g_GnPD[:, :, place], r_GmPD[:, :, place]
        return g_GnPD.transpose(1, 2), r_GmPD.transpose(1, 2)

    def _compare(self, phi_g_GPnD: Tensor, phi_r_GPmD: Tensor) -> tuple[Tensor, Tensor]:
        """The loss in one group, and the drift before it is normalised."""
        scale_GP11 = _mean_distance(phi_r_GPmD)
        phi_g_GPnD, phi_r_GPmD = phi_g_GPnD / scale_GP11, phi_r_GPmD / scale_GP11
        drift_GPnD, size = drift(phi_g_GPnD.detach(), phi_r_GPmD, temperatures=self._temperatures)
        target_GPnD = phi_g_GPnD.detach() + drift_GPnD
        return (phi_g_GPnD - target_GPnD).square().mean(), size


class ComparesSets(Objective, ABC):
    """An objective whose loss is a `Comparison`."""

    def __init__(self, options: ComparisonOptions) -> None:
        self._compare = Comparison(options)

    def to(self, device: torch.device) -> None:
        self._compare.to(device)

    def prepare(
        self, *, images: Split, flips: bool, device: torch.device, progress: ProgressCallback
    ) -> str | None:
        return self._compare.prepare(images=images, flips=flips, device=device, progress=progress)

    def prepare_shapes(self, images: DatasetInfo) -> float:
        return self._compare.prepare_shapes(images)


def drift(
    generated: Tensor, real: Tensor, *, temperatures: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Σ_τ V of generated (…, n, D) and real (…, m, D) features, and V's root mean square before.

    Features are in units of the mean distance of two real images.  n is at least 2.
    """
    to_real = torch.cdist(generated, real)
    to_generated = torch.cdist(generated, generated)
    # An image does not repel itself.
    itself = torch.diag_embed(torch.full_like(to_generated[..., 0], torch.inf))
    distance, real_count = torch.cat([to_real, to_generated + itself], dim=-1), real.shape[-2]
    total, sizes = torch.zeros_like(generated), []
    for temperature in temperatures:
        logit = -distance / temperature
        weight = (logit.softmax(dim=-1) * logit.softmax(dim=-2)).sqrt()
        towards, away = weight[..., :real_count], weight[..., real_count:]
        force = (towards * away.sum(-1, keepdim=True)) @ real - (
            away * towards.sum(-1, keepdim=True)
        ) @ generated
        size = force.square().mean(dim=(-2, -1), keepdim=True).sqrt()
        total = total + force / size.clamp_min(_SMALLEST)
        sizes.append(size.mean())
    return total, torch.stack(sizes).mean()


def _mean_distance(real_GPmD: Tensor) -> Tensor:
    """Mean distance of two different real images of a set, (G, P, 1, 1)."""
    first_GPkD = real_GPmD[..., :_PAIRED, :]
    count = first_GPkD.shape[-2]
    distance = torch.cdist(first_GPkD, first_GPkD).sum(dim=(-2, -1), keepdim=True)
    return (distance / (count * (count - 1))).clamp_min(_SMALLEST)
