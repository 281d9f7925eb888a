"""Built-in observers."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_observers.options import JsonLinesOptions, TensorBoardOptions, TerminalOptions


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
