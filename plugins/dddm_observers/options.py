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
        help="Where stderr is no terminal: how long to wait between two lines of progress.",
    )


@final
@frozen(kw_only=True)
class JsonLinesOptions:
    """Options of `json-lines`."""

    path: str = option(
        "-",
        help="The file that lines are added to, relative to the current folder; - is stderr.",
    )
