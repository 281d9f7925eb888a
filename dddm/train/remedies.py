"""What to do about a number that is not finite: it depends on how far training has come."""

from dddm.interfaces.objective import Batch, Outcome
from dddm.recipe.model import ComponentConfig
from dddm.registry.factory import is_builtin
from dddm.train.checkpoint import list_checkpoints
from dddm.train.training import Training


def remedy_for_not_finite(training: Training, outcome: Outcome, *, batch: Batch) -> str:
    """Of a loss or an estimate of this batch."""
    recipe = training.context.recipe
    if not bool(batch.x_0.isfinite().all()):
        return f"the images are not finite themselves: {_look_at(recipe.data)}"
    if training.position.step > 0:
        return f"{remedy_for_gradient(training)} or set train.gradient_clip = 1.0"
    finite = all(bool(rows.isfinite().all()) for rows in outcome.memory.values())
    use = recipe.metric if outcome.memory and finite else recipe.backbone
    if use is None or not outcome.memory:
        use = recipe.objective
    return (
        f"no weight was changed before, so the {use.component.kind.value} {use.component.id} gave "
        f"it for numbers that are finite: {_look_at(use)}"
    )


def remedy_for_gradient(training: Training) -> str:
    """Of a gradient."""
    if training.position.step > 0:
        return f"{what_is_kept(training)}use a smaller learning_rate.rate"
    recipe = training.context.recipe
    used = [use for use in (recipe.objective, recipe.metric, recipe.backbone) if use is not None]
    kinds = " or ".join(f"the {use.component.kind.value}" for use in used)
    return f"no weight was changed before, so it comes of {kinds}: " + ", and ".join(
        _look_at(use) for use in used
    )


def what_is_kept(training: Training) -> str:
    """That the last checkpoint is whole, where there is one."""
    there = list_checkpoints(training.context.folder.checkpoints)
    return "the last checkpoint is whole; " if there else ""


def _look_at(use: ComponentConfig) -> str:
    if is_builtin(use.component):
        return f"look at the options of {use.component.id}"
    return f"dddm plugin test {use.component.id}"
