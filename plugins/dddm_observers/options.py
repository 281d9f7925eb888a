"""Options of the built-in observers."""

from typing import final

from attrs import frozen

from dddm.interfaces.plugin import option


@final
@frozen(kw_only=True)
class TerminalOptions:
    """Options of `terminal`."""

    every_seconds: float = option(
        10.0,
        at_least=0,
        help="Where stderr is not a terminal: seconds between two lines of progress.",
    )


@final
@frozen(kw_only=True)
class JsonLinesOptions:
    """Options of `json-lines`."""

    path: str = option(
        "-",
        help="The file that lines are added to, relative to the current folder; - is stderr.",
    )


@final
@frozen(kw_only=True)
class TensorBoardOptions:
    """Options of `tensorboard`."""

    flush_seconds: int = option(
        30, at_least=1, help="Seconds after which buffered events are written to disk."
    )


@final
@frozen(kw_only=True)
class WandbOptions:
    """Options of `wandb`."""

    project: str = option("dddm", help="The project that the run belongs to.")
    entity: str | None = option(
        None, help="The user or team that the project belongs to; by default your own."
    )


@final
@frozen(kw_only=True)
class TrackioOptions:
    """Options of `trackio`."""

    project: str = option("dddm", help="The project that the run belongs to.")
    space: str | None = option(
        None,
        help="A Hugging Face Space to send the run to, as user/name; by default it stays here.",
    )


@final
@frozen(kw_only=True)
class MlflowOptions:
    """Options of `mlflow`."""

    experiment: str = option("dddm", help="The experiment that the run belongs to.")
    tracking_uri: str | None = option(
        None, help="The server or database; by default MLFLOW_TRACKING_URI, or MLflow's own."
    )
    send_seconds: float = option(
        5.0, at_least=0, help="Seconds between two times that numbers are sent."
    )
