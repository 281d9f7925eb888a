"""Built-in observers."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_observers.options import (
    JsonLinesOptions,
    MlflowOptions,
    TensorBoardOptions,
    TerminalOptions,
    TrackioOptions,
    WandbOptions,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in observers."""
    registrar.add(
        Kind.OBSERVER,
        "terminal",
        target="dddm_observers.terminal:Terminal",
        options=TerminalOptions,
        summary="Progress on stderr: a bar on a terminal, a line now and then elsewhere.",
        conformance=Conformance(examples=({}, {"every_seconds": 0.0})),
        default=True,
    )
    registrar.add(
        Kind.OBSERVER,
        "json-lines",
        target="dddm_observers.json_lines:JsonLines",
        options=JsonLinesOptions,
        summary="Every event as a line of JSON, on stderr or in a file.",
        conformance=Conformance(examples=({}, {"path": "events/run.jsonl"})),
    )
    registrar.add(
        Kind.OBSERVER,
        "tensorboard",
        target="dddm_observers.tensorboard:TensorBoard",
        options=TensorBoardOptions,
        summary="Curves, sample grids and scores for TensorBoard, in its own folder.",
    )
    registrar.add(
        Kind.OBSERVER,
        "wandb",
        target="dddm_observers.wandb:Wandb",
        options=WandbOptions,
        summary="Recipe, curves, sample grids and scores in Weights & Biases.",
    )
    registrar.add(
        Kind.OBSERVER,
        "trackio",
        target="dddm_observers.wandb:Trackio",
        options=TrackioOptions,
        summary="Recipe, curves, sample grids and scores in trackio, here or in a Space.",
    )
    registrar.add(
        Kind.OBSERVER,
        "mlflow",
        target="dddm_observers.mlflow:Mlflow",
        options=MlflowOptions,
        summary="Recipe, curves, sample grids and scores in MLflow.",
    )
