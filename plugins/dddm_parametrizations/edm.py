"""The preconditioning of EDM, and the same with the boundary of consistency models, on any path.

    c_in = 1 / √(σ² + σ_d²),  x = x_t/a = x_0 + σ ε,  σ = s/a
    D = c_skip x + c_out F(c_in x, ¼ ln σ)

    edm           c_skip = σ_d² / (σ² + σ_d²)             Karras et al. 2022 (arXiv 2206.00364),
                  c_out  = σ σ_d / √(σ² + σ_d²)           table 1
    consistency   c_skip = σ_d² / ((σ − σ_min)² + σ_d²)   Song et al. 2023 (arXiv 2303.01469),
                  c_out  = σ_d (σ − σ_min) / √(σ² + σ_d²)  appendix C

With EDM's, the network's input and the F that it is asked for have unit variance at every time
where the images have variance σ_d².  With the boundary, D is x_t/a at σ_min and below, whatever the
network says.  The first is the second with σ_min = 0.

Written in a and s, so that nothing overflows as a → 0, with w² = s² + a² σ_d² and
δ = max(0, s − a σ_min):

    D = (a σ_d² / (δ² + a² σ_d²)) x_t + (δ σ_d / w) F(x_t / w, …)
"""

import torch
from torch import Tensor

from dddm.interfaces.schedule import Schedule
from dddm_parametrizations.affine import Affine, Coefficients
from dddm_parametrizations.options import ConsistencyOptions, EdmOptions, NetworkTime


def edm(options: EdmOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `edm`."""
    return _preconditioned(
        schedule,
        sigma_data=options.sigma_data,
        sigma_min=0.0,
        network_time=options.network_time,
    )


def consistency(options: ConsistencyOptions, *, schedule: Schedule) -> Affine:
    """Make the parametrization `consistency`."""
    return _preconditioned(
        schedule,
        sigma_data=options.sigma_data,
        sigma_min=options.sigma_min,
        network_time=options.network_time,
    )


def _preconditioned(
    schedule: Schedule, *, sigma_data: float, sigma_min: float, network_time: NetworkTime
) -> Affine:
    def of_x_t(a: Tensor, s: Tensor) -> Tensor:
        """1/w."""
        return torch.rsqrt(s.square() + (a * sigma_data).square())

    def coefficients(a: Tensor, s: Tensor) -> Coefficients:
        beyond = (s - a * sigma_min).clamp_min(0)
        return Coefficients(
            skip=a * sigma_data**2 / (beyond.square() + (a * sigma_data).square()),
            out=beyond * sigma_data * of_x_t(a, s),
        )

    return Affine(
        schedule,
        coefficients=coefficients,
        input_scale=of_x_t,
        network_time=network_time,
        sigma_data=sigma_data,
    )
