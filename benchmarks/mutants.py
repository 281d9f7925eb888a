"""Whether the tests notice: mistakes are made one by one, and the tests of their area must fail.

    python benchmarks/mutants.py                 all of them, some 15 minutes on one core
    python benchmarks/mutants.py run samplers    those of two areas
    python benchmarks/mutants.py --list
    python benchmarks/mutants.py --check         whether each still matches the source

Each mistake is one replacement in a copy of the checkout, in code that trains, samples or scores.
One that leaves the tests of its area passing has found a hole in them; the script then ends with 1.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Final, NamedTuple

HOME: Final = Path(__file__).resolve().parent.parent
AREAS: Final = {
    "run": "tests/whole_run",
    "batches": "tests/training/test_batches.py",
    "core": "tests/core",
    "objectives": "tests/plugins/objectives",
    "schedules": "tests/plugins/schedules",
    "parametrizations": "tests/plugins/parametrizations",
    "samplers": "tests/plugins/samplers",
    "metrics": "tests/plugins/metrics",
    "stores": "tests/plugins/stores",
    "optimizers": "tests/plugins/optimizers",
    "learning-rates": "tests/plugins/learning_rates",
    "scores": "tests/plugins/scores",
}


class Mutant(NamedTuple):
    """One mistake: in `file`, `old`, which stands there once, becomes `new`."""

    area: str
    what: str
    file: str
    old: str
    new: str


OBJECTIVE: Final = "plugins/dddm_objectives/directly_denoising.py"
TRAIN: Final = "dddm/training/loop.py"
UPDATE: Final = "dddm/training/update.py"
SAMPLE: Final = "dddm/generate/sample.py"
DENOISER: Final = "dddm/core/denoiser.py"
STEP: Final = "dddm/core/step.py"
EMA: Final = "dddm/core/ema.py"
DISCRETE: Final = "plugins/dddm_schedules/discrete.py"
CONTINUOUS: Final = "plugins/dddm_schedules/continuous.py"
FIXED: Final = "plugins/dddm_samplers/fixed_time.py"
NEIGHBOURHOODS: Final = "plugins/dddm_scores/neighbourhoods.py"

MUTANTS: Final = (
    # A training run.
    Mutant("run", "the estimate is never stored", TRAIN,
           "    parts.memory.write(batch.rows, values=outcome.memory, written=outcome.written)\n",
           ""),
    Mutant("run", "the training image is stored for the estimate", OBJECTIVE,
           '{"estimate": estimate_BCHW.detach()}', '{"estimate": x_0_BCHW}'),
    Mutant("run", "the estimate that was given is stored", OBJECTIVE,
           '{"estimate": estimate_BCHW.detach()}', '{"estimate": x_hat_BCHW}'),
    Mutant("run", "the estimate of a second pass is stored", OBJECTIVE,
           '{"estimate": estimate_BCHW.detach()}',
           '{"estimate": denoiser.evaluate(x_t=x_t_BCHW, t=draws["t"], label=given.batch.label, '
           "estimate=estimate_BCHW).detach()}"),
    Mutant("run", "the network trains in eval mode", TRAIN,
           "    parts.backbone.train()\n", "    parts.backbone.eval()\n"),
    Mutant("run", "gradients are not zeroed", TRAIN, "    parts.optimizer.zero_grad()\n", ""),
    Mutant("run", "the sum over micro-batches, not their mean, is followed", TRAIN,
           "scale(outcome.loss / count)", "scale(outcome.loss)"),
    Mutant("run", "micro-batches have each other's draws", TRAIN,
           "    slices = equal_slices(len(batch.rows), count)",
           "    slices = list(equal_slices(len(batch.rows), count))[::-1]"),
    Mutant("run", "only the first half of the batch is written", TRAIN,
           "torch.cat([outcome.memory[name] for outcome in outcomes])",
           "torch.cat([outcomes[0].memory[name] for outcome in outcomes])"),
    Mutant("run", "the learning rate is that of the step after", TRAIN,
           "learning_rate.at(step=position.step,", "learning_rate.at(step=position.step + 1,"),
    Mutant("run", "the learning rate is never set", TRAIN,
           "    set_learning_rate(parts.optimizer, learning_rate)\n", ""),
    Mutant("run", "the gradient is not clipped", UPDATE,
           'float("inf") if limit is None else limit', 'float("inf")'),
    Mutant("run", "the average moves before the weights do", UPDATE,
           "    training.scaler.step(training.parts.optimizer)\n",
           "    for average in (training.ema, *training.extra_emas.values()):\n"
           "        average.update(training.parts.backbone, update=training.position.step)\n"
           "    training.scaler.step(training.parts.optimizer)\n"
           "    overflowed = True\n"),
    Mutant("run", "only the first average is updated", UPDATE,
           "(training.ema, *training.extra_emas.values())", "(training.ema,)"),
    Mutant("run", "the warm-up of the average counts from 1", UPDATE,
           "update=training.position.step)", "update=training.position.step + 1)"),
    Mutant("run", "every epoch draws the same", TRAIN,
           '"train", recipe.seed, position.epoch, position.batch',
           '"train", recipe.seed, 0, position.batch'),
    Mutant("batches", "every epoch has the same batches", "dddm/training/batches.py",
           'generator_for("order", self.seed, epoch, shard)',
           'generator_for("order", self.seed, 0, shard)'),
    Mutant("run", "dropout draws the same at every step", TRAIN,
           'seed_for("dropout", recipe.seed, position.step, context.processes.rank)',
           'seed_for("dropout", recipe.seed, 0, context.processes.rank)'),
    Mutant("run", "the label is not given to the network", DENOISER,
           "                label=label,\n",
           "                label=None if label is None else 0 * label,\n"),
    Mutant("run", "t is the schedule's, not the network's", DENOISER,
           "network_time = self._parametrization.network_time\n",
           "network_time = torch.Tensor.float\n"),
    Mutant("run", "x_t is not scaled for the network", DENOISER,
           "x_t=self._parametrization.network_input(x_t=x_t, t=t)", "x_t=x_t"),
    Mutant("run", "F is the estimate", DENOISER,
           "return self._parametrization.estimate(x_t=cache.x_t, raw=raw.to(cache.x_t.dtype), "
           "t=cache.t)", "return raw.to(cache.x_t.dtype)"),
    Mutant("run", "estimates are clamped in training", OBJECTIVE,
           "        loss_B = self._loss(",
           "        estimate_BCHW = estimate_BCHW.clamp(-1, 1)\n        loss_B = self._loss("),
    Mutant("run", "flipped images meet estimates that are not flipped", STEP,
           "            memory=flip_fields(memory),\n", "            memory=dict(memory),\n"),
    Mutant("run", "estimates of flipped images are stored flipped", STEP,
           "return evolve(outcome, memory=flip_fields(outcome.memory))", "return outcome"),
    Mutant("run", "images are not flipped", STEP,
           "x_0=draws.flip(batch.x_0),", "x_0=batch.x_0,"),
    Mutant("run", "images are turned upside down for flipped", "dddm/core/draws.py",
           "image.flip(-1)", "image.flip(-2)"),
    Mutant("run", "the noise is uniform", OBJECTIVE,
           '"noise": torch.randn(size', '"noise": torch.rand(size'),
    Mutant("run", "the wrong estimates are dropped", OBJECTIVE,
           'torch.where(dropped_B111, draws["dropout_noise"], stored_BCHW)',
           'torch.where(dropped_B111, stored_BCHW, draws["dropout_noise"])'),
    Mutant("run", "a dropped estimate is zero", OBJECTIVE,
           'torch.where(dropped_B111, draws["dropout_noise"], stored_BCHW)',
           "torch.where(dropped_B111, 0.0, stored_BCHW)"),
    Mutant("run", "x_0 and the noise are exchanged in eq. 2", OBJECTIVE,
           'diffuse(x_0=x_0_BCHW, t=draws["t"], noise=draws["noise"])',
           'diffuse(x_0=draws["noise"], t=draws["t"], noise=x_0_BCHW)'),
    Mutant("run", "the loss is to the stored estimate", OBJECTIVE,
           "return metric.distance(estimate=estimate, target=x_0)",
           "return metric.distance(estimate=estimate, target=stored)"),
    Mutant("run", "the network sees x_0 for x_t", OBJECTIVE, "x_t=x_t_BCHW, t=draws",
           "x_t=x_0_BCHW, t=draws"),
    Mutant("run", "images lie in [0, 1]", "dddm/support/images.py",
           "images.to(torch.float32).div_(127.5).sub_(1.0)",
           "images.to(torch.float32).div_(255.0)"),
    Mutant("run", "the store begins with zeros", "dddm/training/memory.py",
           "initial=field.initial,", 'initial="zeros",'),
    # Samples of a run.
    Mutant("run", "samples come from the raw weights", "dddm/generate/generator.py",
           'return "ema" if self.ema is None', 'return "model" if self.ema is None'),
    Mutant("run", "x_T is not the schedule's", SAMPLE,
           "generator.model.schedule.prior(noise=noise_for(NOISE_OF_X_T))",
           "noise_for(NOISE_OF_X_T)"),
    Mutant("run", "x̂ begins as x_T", SAMPLE, 'estimate_BCHW = noise_for("sample estimate")',
           "estimate_BCHW = x_T_BCHW"),
    Mutant("run", "all samples are of the first class", SAMPLE,
           "return turn[index_B % len(turn)]", "return turn[0 * index_B]"),
    Mutant("run", "levels are cut off, not rounded", "dddm/support/images.py",
           ".mul_(127.5).round_()", ".mul_(127.5)"),
    Mutant("run", "every block has the noise of the first", SAMPLE,
           "first = number * spec.block_images", "first = 0"),
    # Algorithm 1 by itself.
    Mutant("objectives", "the guided mix has its weights exchanged", OBJECTIVE,
           "weight * to_image_B + (1 - weight) * to_stored_B",
           "(1 - weight) * to_image_B + weight * to_stored_B"),
    Mutant("objectives", "the guided mix counts epochs from 1", OBJECTIVE,
           "weight = 1 / (epoch + 1)", "weight = 1 / (epoch + 2)"),
    Mutant("objectives", "the noise weight is σ^-1",
           "plugins/dddm_objectives/denoising.py",
           'case "noise":\n                w_B = inverse_sigma_B.square()',
           'case "noise":\n                w_B = inverse_sigma_B'),
    Mutant("objectives", "EDM's weight leaves σ_d out",
           "plugins/dddm_objectives/denoising.py",
           "inverse_sigma_B.square() + self._options.sigma_data**-2",
           "inverse_sigma_B.square() + 1"),
    Mutant("objectives", "the weight of v forgets a",
           "plugins/dddm_objectives/denoising.py",
           "(a_B.square() + s_B.square()) / s_B",
           "1 / s_B**2"),
    Mutant("objectives", "flow matching compares with x_t",
           "plugins/dddm_objectives/flow_matching.py",
           "(given.batch.x_0 - estimate_BCHW)",
           "(x_t_of(given) - estimate_BCHW)"),
    Mutant("objectives", "flow matching divides by a",
           "plugins/dddm_objectives/flow_matching.py",
           "((a_B + s_B) / s_B)",
           "((a_B + s_B) / a_B)"),
    Mutant("objectives", "self-conditioning conditions the others",
           "plugins/dddm_objectives/path.py",
           'torch.where(expand_B111(draws["conditioned"]), first_BCHW, x_hat_BCHW)',
           'torch.where(expand_B111(draws["conditioned"]), x_hat_BCHW, first_BCHW)'),
    Mutant("objectives", "the consistency target has another noise",
           "plugins/dddm_objectives/consistency.py",
           "x_r_BCHW = schedule.diffuse(x_0=x_0_BCHW, t=r_or_t_B, noise=noise_BCHW)",
           "x_r_BCHW = schedule.diffuse(x_0=x_0_BCHW, t=r_or_t_B, noise=-noise_BCHW)"),
    Mutant("objectives", "the consistency target carries the gradient",
           "plugins/dddm_objectives/consistency.py",
           "with given.frozen_pass():",
           "if True:"),
    Mutant("objectives", "the grid has one time too few",
           "plugins/dddm_objectives/consistency.py",
           "last)) + 1",
           "last))"),
    Mutant("objectives", "the weight is 1/(σ_t + σ_r)",
           "plugins/dddm_objectives/consistency.py",
           "(sigma_t_B - sigma_r_B)",
           "(sigma_t_B + sigma_r_B)"),
    Mutant("objectives", "pairs are not neighbours",
           "plugins/dddm_objectives/consistency.py",
           "t_N[pair_B + 1]",
           "t_N[-1].expand(count)"),
    Mutant("objectives", "ECT counts its warm-up twice",
           "plugins/dddm_objectives/consistency.py",
           "(1 - warm_up)\n",
           "(1 - 2 * warm_up)\n"),
    Mutant("objectives", "the tangent of MeanFlow's t is 0",
           "plugins/dddm_objectives/mean_flow.py",
           "(v_BCHW, torch.zeros_like(r_B), torch.ones_like(t_B))",
           "(v_BCHW, torch.zeros_like(r_B), torch.zeros_like(t_B))"),
    Mutant("objectives", "MeanFlow's target carries the gradient",
           "plugins/dddm_objectives/mean_flow.py",
           "du_dt_BCHW.detach()",
           "du_dt_BCHW"),
    Mutant("objectives", "MeanFlow adds du/dt",
           "plugins/dddm_objectives/mean_flow.py",
           "v_BCHW - expand_B111(t_B - r_B)",
           "v_BCHW + expand_B111(t_B - r_B)"),
    Mutant("objectives", "MeanFlow's weight carries the gradient",
           "plugins/dddm_objectives/mean_flow.py",
           "(square_B.detach() + self",
           "(square_B + self"),
    Mutant("objectives", "the spread of the energy score counts twice",
           "plugins/dddm_objectives/energy_score.py",
           "self._spread / 2 *",
           "self._spread *"),
    Mutant("objectives", "the energy score is squared",
           "plugins/dddm_objectives/energy_score.py",
           "** (self._beta / 2)",
           "** self._beta"),
    Mutant("objectives", "the leak is measured with x_0 in the store's place",
           "plugins/dddm_objectives/leak.py",
           'stored_BCHW, noise_BCHW = given.memory["estimate"], given',
           "stored_BCHW, noise_BCHW = x_0_BCHW, given"),
    Mutant("core", "a frozen pass draws dropout of its own", STEP,
           "            torch.set_rng_state(state)\n", "            pass\n"),
    Mutant("core", "the average decays by 1 − μ", EMA,
           "weight = 1.0 - decay_at(", "weight = decay_at("),
    Mutant("core", "buffers are not averaged", EMA, "            kept.copy_(given)\n",
           "            pass\n"),
    # Schedules.
    Mutant("schedules", "ᾱ is one β too late", DISCRETE,
           "torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)])",
           "torch.cat([beta.new_zeros(2), torch.log1p(-beta[:-1]).cumsum(0)])"),
    Mutant("schedules", "the signal is ᾱ, not its root", DISCRETE,
           "torch.exp(log_alpha_bar / 2)", "torch.exp(log_alpha_bar)"),
    Mutant("schedules", "times are 0…T − 1", DISCRETE,
           "  1, self._timesteps + 1, (count,)", "  0, self._timesteps, (count,)"),
    Mutant("schedules", "times never reach T", DISCRETE,
           "  1, self._timesteps + 1, (count,)", "  1, self._timesteps, (count,)"),
    Mutant("schedules", "network times do not depend on T", DISCRETE,
           "(t.to(torch.float64) * (_NETWORK_TIMES / self._timesteps))", "(t.to(torch.float64))"),
    Mutant("schedules", "κ is turned over", DISCRETE,
           "return kappa_B111 * x_t + rest_B111 * raw",
           "return rest_B111 * x_t + kappa_B111 * raw"),
    Mutant("schedules", "x_T is not σ_max ε", DISCRETE,
           "return self._sigma_max * noise", "return noise"),
    Mutant("schedules", "logit-normal times are not squashed by their spread", CONTINUOUS,
           "self._options.mean + self._options.std * normal",
           "self._options.mean + normal"),
    Mutant("schedules", "EDM's c_out has σ_d²", CONTINUOUS,
           "sigma_B * data * total_B.rsqrt()", "sigma_B * data**2 * total_B.rsqrt()"),
    # Samplers.
    Mutant("samplers", "algorithm 2 does not clamp", FIXED,
           "refined_BCHW.clamp(-1.0, 1.0) if self._clamp else refined_BCHW", "refined_BCHW"),
    Mutant("samplers", "every step begins with the first estimate", FIXED,
           "            estimate_BCHW = self._refined(model, cache, estimate_BCHW)\n"
           "            yield estimate_BCHW\n",
           "            yield self._refined(model, cache, estimate_BCHW)\n"),
    Mutant("samplers", "the sampler starts at the least time", FIXED,
           "t_B = model.schedule.grid(steps=1)", "t_B = model.schedule.grid(steps=2)[1:]"),
    Mutant("samplers", "an image leaves while it still moves", FIXED,
           "moved_A >= self._tolerance", "moved_A < self._tolerance"),
    Mutant("samplers", "the implied noise is of the new time",
           "plugins/dddm_samplers/ddim.py", "before_B = t_sB[step - 1]", "before_B = t_B"),
    Mutant("samplers", "the implied noise has the signal for the noise",
           "plugins/dddm_samplers/falling.py",
           "(x_t - a_B111 * x_0) / s_B111", "(x_t - s_B111 * x_0) / a_B111"),
    Mutant("samplers", "the residuals' order is turned",
           "plugins/dddm_samplers/accelerated.py",
           "[*residuals, g_BCHW - x_BCHW][-self._history :]",
           "[g_BCHW - x_BCHW, *residuals][: self._history]"),
    # Parts that others choose.
    Mutant("parametrizations", "the consistency boundary is at 0",
           "plugins/dddm_parametrizations/affine.py", "(s - a * sigma_min).clamp_min(0)", "s"),
    Mutant("metrics", "Pseudo-Huber is of the mean, not of the norm",
           "plugins/dddm_metrics/pixels.py",
           "torch.linalg.vector_norm(difference_BCHW.flatten(1), dim=1)",
           "difference_BCHW.flatten(1).square().mean(1).sqrt()"),
    Mutant("metrics", "Pseudo-LPIPS forgets c in its divisor",
           "plugins/dddm_metrics/perceptual.py",
           "lpips / (torch.sqrt(lpips + c * c) + c)", "lpips / torch.sqrt(lpips + c * c)"),
    Mutant("stores", "a read gives the row after", "plugins/dddm_stores/store.py",
           "row=first_B + place_B)", "row=(first_B + place_B + 1) % len(self._written_n))"),
    Mutant("stores", "the epoch of a row is not kept", "plugins/dddm_stores/store.py",
           "        self._written_n[where.row] = self._epoch\n", ""),
    Mutant("optimizers", "muon forgets its momentum", "plugins/dddm_optimizers/muon.py",
           "momentum.lerp_(gradient, 1 - o.momentum)", "momentum.copy_(gradient)"),
    Mutant("learning-rates", "the warm-up begins at 0",
           "plugins/dddm_learning_rates/rates.py",
           "min(1.0, (step + 1) / warmup_steps)", "min(1.0, step / warmup_steps)"),
    Mutant("learning-rates", "a drop comes one step late",
           "plugins/dddm_learning_rates/rates.py",
           "sum(step >= drop * total_steps", "sum(step > drop * total_steps"),
    Mutant("learning-rates", "the cosine ends at its middle",
           "plugins/dddm_learning_rates/rates.py",
           "math.cos(math.pi * progress)", "math.cos(math.pi * progress / 2)"),
    # Scores.
    Mutant("scores", "a covariance is divided by N", "dddm/support/moments.py",
           "np.cov(value_ND, rowvar=False)", "np.cov(value_ND, rowvar=False, ddof=0)"),
    Mutant("scores", "kid counts the diagonal", "plugins/dddm_scores/kernel.py",
           "float(kernel_SS.sum() - kernel_SS.diagonal().sum())", "float(kernel_SS.sum())"),
    Mutant("scores", "kid's kernel is a square", "plugins/dddm_scores/kernel.py",
           "base_SS.square().mul_(base_SS)", "base_SS.square()"),
    Mutant("scores", "is takes features for logits", "plugins/dddm_scores/inception_score.py",
           "fidelity.inception_score(generated.logits, splits",
           "fidelity.inception_score(generated.features, splits"),
    Mutant("scores", "precision and recall are exchanged", NEIGHBOURHOODS,
           "        precision=precise / len(x_ND),\n"
           "        recall=float(recalled_M.double().mean()),\n",
           "        recall=precise / len(x_ND),\n"
           "        precision=float(recalled_M.double().mean()),\n"),
    Mutant("scores", "an image is its own nearest neighbour", NEIGHBOURHOODS,
           "            square_QC[own.nonzero()[:, 0], rows[own] - column] = torch.inf\n", ""),
    Mutant("scores", "coverage is by the balls of generated images", NEIGHBOURHOODS,
           "covered_M[columns] |= inside_QC.any(dim=0)",
           "covered_M[columns] |= (square_QC <= own_reach_Q1).any(dim=0)"),
    Mutant("scores", "density is not divided by k", NEIGHBOURHOODS,
           "within / (neighbours * len(x_ND))", "within / len(x_ND)"),
    Mutant("scores", "authenticity compares with the k-th neighbour", NEIGHBOURHOODS,
           "real.nearest[least_is_Q]", "real.reach[least_is_Q]"),
    Mutant("scores", "nearest looks for the farthest", "plugins/dddm_scores/nearest.py",
           "distance_NM.amin(dim=1)", "distance_NM.amax(dim=1)"),
    Mutant("scores", "the held-out floor is of the training images",
           "plugins/dddm_scores/frechet.py",
           "value=_to_training(reference.sample_held_out(count), reference)",
           "value=_to_training(reference.train[:count], reference)"),
    Mutant("scores", "the resample is the training set itself", "plugins/dddm_scores/frechet.py",
           "return _to_training(train_MD[index], reference)",
           "return _to_training(train_MD, reference)"),
)  # fmt: skip


def main() -> None:
    """Try those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("areas", nargs="*", metavar="AREA", help="all, where none is named")
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    parser.add_argument("--check", action="store_true", help="check that each applies, and end")
    asked = parser.parse_args()
    if unknown := set(asked.areas) - set(AREAS):
        parser.error(f"no area {', '.join(sorted(unknown))}; there are {', '.join(AREAS)}")
    chosen = [mutant for mutant in MUTANTS if not asked.areas or mutant.area in asked.areas]
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.area:16} {mutant.what}")
    if asked.check:
        for mutant in chosen:
            assert (HOME / AREAS[mutant.area]).exists(), mutant.area
            compile(_mutated(HOME, mutant), mutant.file, "exec")
    if asked.list or asked.check:
        print(f"{len(chosen)} mutants")
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_checkout(copy)
        areas = dict.fromkeys(mutant.area for mutant in chosen)
        for area in areas:
            if not _passes(copy, area):
                sys.exit(f"the tests of {area} fail without any mutant")
        survivors = [mutant for mutant in chosen if _survives(copy, mutant)]
    print(f"\n{len(chosen) - len(survivors)} of {len(chosen)} mutants were noticed")
    for mutant in survivors:
        print(f"not noticed: {mutant.area}: {mutant.what}")
    sys.exit(1 if survivors else 0)


def _copy_checkout(copy: Path) -> None:
    words = ["git", "ls-files", "-z"]
    listed = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        copyfile(HOME / name, copy / name)


def _mutated(checkout: Path, mutant: Mutant) -> str:
    right = (checkout / mutant.file).read_text(encoding="utf-8")
    if right.count(mutant.old) != 1:
        sys.exit(f"{mutant.file} has {right.count(mutant.old)} times {mutant.old!r}")
    return right.replace(mutant.old, mutant.new)


def _survives(copy: Path, mutant: Mutant) -> bool:
    began = time.perf_counter()
    with _planted(copy, mutant):
        survives = _passes(copy, mutant.area)
    result = "NOT NOTICED" if survives else "noticed"
    took = time.perf_counter() - began
    print(f"{result:12} {took:6.1f} s  {mutant.area}: {mutant.what}", flush=True)
    return survives


@contextmanager
def _planted(copy: Path, mutant: Mutant) -> Iterator[None]:
    file = copy / mutant.file
    right = file.read_text(encoding="utf-8")
    file.write_text(_mutated(copy, mutant), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(right, encoding="utf-8")


def _passes(copy: Path, area: str) -> bool:
    """Whether the copy's tests of an area pass; they import the copy, not what is installed."""
    paths = os.pathsep.join([str(copy), str(copy / "plugins")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    tests = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", AREAS[area]]
    ran = subprocess.run(tests, cwd=copy, env=environment, capture_output=True, check=False)
    if ran.returncode not in {0, 1, 2}:  # passed, failed, or could not import the mutant
        sys.exit(ran.stdout.decode() + ran.stderr.decode())
    return ran.returncode == 0


if __name__ == "__main__":
    main()
