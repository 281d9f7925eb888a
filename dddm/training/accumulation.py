"""`accumulation_steps = "auto"`: a batch is cut as finely as memory demands.

Memory is counted before training; whether a micro-batch really fits is tried before the first
step, because kernels take what nobody can count.  What is tried leaves no trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch

from dddm.core.draws import Draws, equal_slices
from dddm.core.step import make_step, micro_batches
from dddm.errors import EnvironmentProblem, is_out_of_memory
from dddm.interfaces.objective import Batch, TrainingProgress
from dddm.training.training import Training

_TRIED = 2
"""Micro-batches: the second meets the gradients of the first."""


def find_accumulation_steps(
    training: Training, *, batch: Batch, draws: Draws, progress: TrainingProgress
) -> None:
    """Raise `training.accumulation_steps` until a micro-batch fits in every process.

    Args:
        batch: this process's rows of a batch, as `draws` are.

    Raises:
        EnvironmentProblem: if not even the smallest fits.
    """
    context = training.context
    units = context.recipe.batch_units // context.processes.count
    before = training.accumulation_steps
    while context.processes.sums([float(not _fits(training, batch, draws, progress))])[0]:
        finer = (n for n in range(training.accumulation_steps + 1, units + 1) if units % n == 0)
        training.accumulation_steps = next(finer, 0)
        if not training.accumulation_steps:
            raise EnvironmentProblem(
                f"not even {len(batch.rows) // units} of {len(batch.rows)} images of a batch fit "
                "in memory at a time",
                where="train.accumulation_steps",
                remedy="use backbone.checkpointing = true where the network has it, "
                'train.precision = "bfloat16" on a GPU, or a smaller network',
            )
    found = training.accumulation_steps
    if found != before and context.processes.main:
        context.folder.note_about(accumulation_steps=found)
        context.events.notice(f"out of memory at first: accumulation_steps = {found}, not {before}")


def _fits(training: Training, batch: Batch, draws: Draws, progress: TrainingProgress) -> bool:
    """Whether forward and backward passes of micro-batches find the memory that they need."""
    count = training.accumulation_steps
    parts = zip(micro_batches(batch, count), equal_slices(len(batch.rows), count), strict=True)
    try:
        with _without_trace(training):
            for part, place in islice(parts, _TRIED):
                outcome = make_step(
                    training.steps,
                    batch=part,
                    draws=draws[place],
                    memory=training.parts.memory.peek(part.rows),
                    progress=progress,
                )
                outcome.loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    if training.context.device.type == "cuda":
        torch.cuda.empty_cache()
    torch.compiler.reset()  # or what is compiled would take any size, and be slower
    return False


@contextmanager
def _without_trace(training: Training) -> Iterator[None]:
    """Within it random numbers and buffers of the network may change; gradients stay behind."""
    device, backbone = training.context.device, training.parts.backbone
    buffers = [(buffer, buffer.clone()) for buffer in backbone.buffers()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)
