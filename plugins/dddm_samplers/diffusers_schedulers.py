"""Schedulers of the library diffusers: DDPM, DDIM, DPM-Solver++, DEIS, UniPC and others, by name.

They know the variance preserving path z = √ᾱ x_0 + √(1−ᾱ) ε.  Any path is one, up to its scale:

    z = x / √(a² + s²),  ᾱ = a² / (a² + s²)

A scheduler is made for exactly the times t_1 > … > t_s of the schedule's grid, as one that trained
with no others: β_k = 1 − ᾱ_k / ᾱ_{k+1}.  It is given D, the network's estimate of x_0, and returns
z at the next time; the sample is the last D, where the step to t = 0 ends.

Presets: `dpm-solver`, DPM-Solver++ in its multistep form (Lu et al. 2022, arXiv 2211.01095); `deis`
(Zhang & Chen 2022, arXiv 2204.13902); `unipc` (Zhao et al. 2023, arXiv 2302.04867).

Legend: B images of C channels, H rows, W columns; s steps.
"""

import inspect
import json
import warnings
from collections.abc import Iterator
from typing import Any, Final, final

import torch
from torch import Tensor

from dddm.errors import EnvironmentProblem, UsageError
from dddm.interfaces.sampler import Denoiser, Sampler, StepNoise
from dddm_samplers.falling import falling_times, fresh_noise, network_estimate
from dddm_samplers.options import DiffusersOptions, MultistepOptions

_SMALLEST_ALPHA_BAR: Final = 2.0**-24
"""ᾱ(T) is 0 on the linear path, and schedulers take its logarithm; diffusers uses this number."""
_ROUNDING: Final = 0.05
"""Of σ as a scheduler has it: from ᾱ in float32, where σ = 0.002 keeps two digits."""
_OURS: Final = {"prediction_type": "sample", "timestep_spacing": "trailing", "clip_sample": False}
_OF_THE_SCHEDULE: Final = ("trained_betas", "num_train_timesteps")


@final
class DiffusersScheduler(Sampler):
    """Steps of a scheduler of diffusers.

    Raises:
        EnvironmentProblem: if diffusers is not installed.
        UsageError: if it has no such scheduler, or none that can be used here, or for a wrong
            setting.
    """

    def __init__(self, options: DiffusersOptions) -> None:
        self._name = options.scheduler
        self._clamp = options.clamp
        self._class = _scheduler_class(options.scheduler)
        self._settings = _settings(options.settings, of=self._class)
        self._stochastic = self._try_out()

    @property
    def prefix_consistent(self) -> bool:
        return False  # the times depend on how many there are

    def sample(
        self,
        *,
        model: Denoiser,
        x_T: Tensor,
        first_estimate: Tensor,
        label: Tensor | None,
        steps: int,
        noise: StepNoise,
    ) -> Iterator[Tensor]:
        t_s = model.schedule.grid(steps=steps)
        signal_s, noise_s = model.schedule.signal(t_s), model.schedule.noise(t_s)
        length_s = (signal_s.square() + noise_s.square()).sqrt()
        scheduler = self._make((signal_s / length_s).square().clamp_min(_SMALLEST_ALPHA_BAR))
        x_t_BCHW, estimate_BCHW = x_T, first_estimate
        # Some schedulers scale z; what they call the model's input is z itself.
        scale = scheduler.scale_model_input(torch.ones_like(x_T), scheduler.timesteps[0])
        z_BCHW = x_T / length_s[0] / scale
        for step, t_B in enumerate(falling_times(model.schedule, steps=steps, x_T=x_T)[:-1]):
            if step > 0:
                z_BCHW = self._step(scheduler, step - 1, z_BCHW, estimate_BCHW, noise)
                scaled_BCHW = scheduler.scale_model_input(z_BCHW, scheduler.timesteps[step])
                x_t_BCHW = length_s[step] * scaled_BCHW
            given_BCHW = network_estimate(model, estimate=estimate_BCHW, noise=noise, step=step)
            estimate_BCHW = model.evaluate(x_t=x_t_BCHW, t=t_B, label=label, estimate=given_BCHW)
            if self._clamp:
                estimate_BCHW = estimate_BCHW.clamp(-1.0, 1.0)
            yield estimate_BCHW.clamp(-1.0, 1.0)

    def _make(self, alpha_bar_s: Tensor) -> Any:
        """A scheduler whose times have these ᾱ, (s,), falling with t, from T to the last."""
        before_s = torch.cat([alpha_bar_s[1:], alpha_bar_s.new_ones(1)])
        beta_s = (1 - alpha_bar_s / before_s).flip(0)
        steps = len(beta_s)
        with _quiet():
            scheduler = self._class(
                **self._settings, trained_betas=beta_s.tolist(), num_train_timesteps=steps
            )
            scheduler.set_timesteps(steps)
        if [float(time) for time in scheduler.timesteps] != list(range(steps - 1, -1, -1)):
            raise ValueError("it does not make one evaluation at each time of the schedule")
        sigma_s = ((1 - alpha_bar_s) / alpha_bar_s).sqrt()
        found_s = getattr(scheduler, "sigmas", sigma_s)[:steps].to(sigma_s)
        if not torch.allclose(found_s, sigma_s, rtol=_ROUNDING, atol=0):
            raise ValueError("it changes the noise at the times of the schedule")
        return scheduler

    def _step(
        self, scheduler: Any, step: int, z_BCHW: Tensor, D_BCHW: Tensor, noise: StepNoise
    ) -> Tensor:
        extra = {}
        if self._stochastic:
            extra["generator"] = _generators(fresh_noise(noise, step=step + 1))
        with _quiet():
            found: Tensor = scheduler.step(
                D_BCHW, scheduler.timesteps[step], z_BCHW, **extra
            ).prev_sample
        return found

    def _try_out(self) -> bool:
        """Make all steps with one number; whether anything was drawn at random."""
        generator = torch.Generator().manual_seed(0)
        before = generator.get_state()
        try:
            scheduler = self._make(torch.tensor([0.01, 0.2, 0.5, 0.9], dtype=torch.float64))
            takes_generator = "generator" in inspect.signature(scheduler.step).parameters
            extra = {"generator": [generator]} if takes_generator else {}
            z_1111 = torch.zeros(1, 1, 1, 1)
            for time in scheduler.timesteps:
                with _quiet():
                    scheduler.scale_model_input(z_1111, time)  # some require this call
                    z_1111 = scheduler.step(z_1111, time, z_1111, **extra).prev_sample
            if not z_1111.isfinite().all():
                raise ValueError("its steps do not go from noise to an image")  # noqa: TRY301
        except Exception as error:  # it may raise anything
            raise UsageError(
                f"the sampler diffusers cannot use {self._name} with these settings: {error}",
                where="scheduler",
                remedy="use another scheduler, such as DPMSolverMultistepScheduler, or other "
                "settings",
            ) from error
        return not torch.equal(before, generator.get_state())


def dpm_solver(options: MultistepOptions) -> DiffusersScheduler:
    """Make the sampler `dpm-solver`."""
    return _multistep("DPMSolverMultistepScheduler", options)


def deis(options: MultistepOptions) -> DiffusersScheduler:
    """Make the sampler `deis`."""
    return _multistep("DEISMultistepScheduler", options)


def unipc(options: MultistepOptions) -> DiffusersScheduler:
    """Make the sampler `unipc`."""
    return _multistep("UniPCMultistepScheduler", options)


def _multistep(scheduler: str, options: MultistepOptions) -> DiffusersScheduler:
    settings = (f"solver_order={options.order}",)
    return DiffusersScheduler(
        DiffusersOptions(scheduler=scheduler, settings=settings, clamp=options.clamp)
    )


def _generators(noise_BCHW: Tensor) -> list[torch.Generator]:
    """A generator for each image, seeded by its noise: its draws depend on nothing else either."""
    ends_B2 = noise_BCHW.float().flatten(1)[:, [0, -1]].cpu().contiguous()
    return [torch.Generator().manual_seed(int(seed)) for seed in ends_B2.view(torch.int64)]


def _scheduler_class(name: str) -> Any:
    try:
        with _quiet():
            from diffusers import schedulers
    except ImportError as error:
        raise EnvironmentProblem(
            f"the sampler diffusers cannot be used: {error}",
            where="scheduler",
            remedy="pip install 'dddm[diffusers]', or use another sampler, such as ddim",
        ) from error
    found = getattr(schedulers, name, None) if name.endswith("Scheduler") else None
    if found is None:
        known = [one for one in dir(schedulers) if one.endswith("MultistepScheduler")]
        raise UsageError(
            f"diffusers has no scheduler {name!r}",
            where="scheduler",
            remedy=f"use DDIMScheduler, DDPMScheduler, {' or '.join(known)}",
        )
    return found


def _settings(words: tuple[str, ...], *, of: Any) -> dict[str, Any]:
    """Arguments of a scheduler: ours and the user's."""
    known = inspect.signature(of.__init__).parameters
    ours = {name: value for name, value in _OURS.items() if name in known}
    settable = sorted(known.keys() - {"self", *_OURS, *_OF_THE_SCHEDULE})
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in settable:
            raise UsageError(
                f"{word!r} is not a setting of {of.__name__}",
                where="settings",
                remedy=f"write name=value, the name being one of {', '.join(settable)}",
            )
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    return {**ours, **given}


def _quiet() -> warnings.catch_warnings:
    """Without what diffusers does that numpy and torch will not support for ever."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)
