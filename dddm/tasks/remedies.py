"""What to do about a number that is not finite: it depends on how far training has come."""

from dddm.method.training_step import Batch, Outcome
from dddm.recipe.model import Use
from dddm.registry.strangers import is_ours
from dddm.run.checkpoint import list_checkpoints
from dddm.tasks.training import Training


def remedy_for_not_finite(training: Training, outcome: Outcome, *, batch: Batch) -> str:
    """Of a loss or an estimate of this batch."""
    recipe = training.recipe
    if not bool(batch.x_0.isfinite().all()):
        return f"the images are not finite themselves: {_look_at(recipe.data)}"
    if training.position.step > 0:
        return f"{remedy_for_gradient(training)} or set train.gradient_clip = 1.0"
    use = recipe.metric if bool(outcome.estimate.isfinite().all()) else recipe.backbone
    return (
        f"no weight was changed before, so the {use.component.kind.value} {use.component.id} gave "
        f"it for numbers that are finite: {_look_at(use)}"
    )


def remedy_for_gradient(training: Training) -> str:
    """Of a gradient."""
    if training.position.step > 0:
        return f"{what_is_kept(training)}use a smaller train.learning_rate"
    metric, backbone = training.recipe.metric, training.recipe.backbone
    return (
        "no weight was changed before, so it comes of the metric or of the backbone: "
        f"{_look_at(metric)}, and {_look_at(backbone)}"
    )


def what_is_kept(training: Training) -> str:
    """That the last checkpoint is whole, where there is one."""
    there = list_checkpoints(training.folder.checkpoints)
    return "the last checkpoint is whole; " if there else ""


def _look_at(use: Use) -> str:
    if is_ours(use.component):
        return f"look at the options of {use.component.id}"
    return f"dddm plugin test {use.component.id}"
