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
