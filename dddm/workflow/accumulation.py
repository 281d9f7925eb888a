"""How many micro-batches a run begins with, where `accumulation_steps = "auto"`.

They are as few as memory has room for, by the count of `dddm run --dry-run`.  `run.json` keeps the
number, so that a resumed run equals an undisturbed one.
"""

import torch

from dddm.support.quantities import counted, size
from dddm.training.context import RunContext
from dddm.training.resources import free_memory
from dddm.workflow.dry_run import CostEstimate, estimate_cost


def accumulation_steps(context: RunContext) -> int:
    """The recipe's number, that of the run so far, or what memory has room for now.

    The same in all processes, which call it before they take memory.
    """
    processes, written = context.processes, context.recipe.train.micro_batches
    if written is not None:
        return written
    kept = processes.from_main(lambda: _kept(context))
    if kept is not None:
        return kept
    estimate = estimate_cost(context.recipe)
    found = processes.gather(_free(context, estimate))
    memory = min((free for free in found if free is not None), default=None)
    steps, why = _counted(estimate, memory, processes=processes.count)
    context.events.notice(f"accumulation_steps = {steps}: {why}")
    return steps


def _kept(context: RunContext) -> int | None:
    """The number that the run began with; None for a new run, or one of other processes."""
    about, count = context.folder.read_about(), context.processes.count
    steps: int = about.get("accumulation_steps", 0)
    mine = context.recipe.batch_units // count
    return steps if about.get("processes") == count and steps > 0 and mine % steps == 0 else None


def _free(context: RunContext, estimate: CostEstimate) -> int | None:
    """Bytes that this process may take for training; None where nobody says."""
    processes, device = context.processes, context.device
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = free_memory() if device.type == "cpu" else None
    if free is None:
        return None
    store = 0 if estimate.store is None else estimate.store.memory // processes.count
    return free // processes.here - store


def _counted(estimate: CostEstimate, memory: int | None, *, processes: int) -> tuple[int, str]:
    """The number, and a reason for it."""
    fit = None if memory is None else estimate.fit(memory, processes=processes)
    if fit is None or memory is None:
        what = "memory" if memory is None else "activations"
        return 1, f"the {what} cannot be counted here; if it does not fit, it is cut finer"
    room = f"{size(memory)} of memory{'' if processes == 1 else ' of each process'}"
    if fit.accumulation_steps is None:
        return estimate.units // processes, f"hardly anything fits in {room}"
    return fit.accumulation_steps, f"{counted(fit.images, 'image')} at a time fit in {room}"
