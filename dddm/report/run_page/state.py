"""How far a run is, in one sentence for the head of its page."""

from typing import Literal, final

from attrs import frozen

from dddm.report.run_page.history import History
from dddm.report.run_page.wording import counted


@final
@frozen(kw_only=True)
class State:
    """How far a run is.

    Attributes:
        word: `finished`, `interrupted`, `failed` or `unfinished`.
        sentence: what a reader should know; empty for a finished run.
    """

    word: Literal["finished", "interrupted", "failed", "unfinished"]
    sentence: str = ""


def state_of(history: History, *, missing_samples: int, missing_scores: bool) -> State:
    """How far the run is, by its log and by what its recipe asks for and is not there.

    A process that was killed leaves no word in the log, so it cannot be told from one that is at
    work; the sentence says both.
    """
    where = _where(history, missing_samples=missing_samples, missing_scores=missing_scores)
    if not where:
        return State(word="finished")
    stopped = history.stopped
    if stopped is None or stopped.get("reason") == "finished":
        return State(
            word="unfinished",
            sentence=f"{where}  The run is at work, or its process was ended; the same command "
            "goes on from the last checkpoint.",
        )
    message = str(stopped.get("message", "")).strip()
    if stopped.get("reason") == "interrupted":
        return State(
            word="interrupted",
            sentence=f"This run was interrupted.  {where}  The same command goes on from there.",
        )
    return State(word="failed", sentence=f"This run failed: {_sentence(message)}  {where}")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _where(history: History, *, missing_samples: int, missing_scores: bool) -> str:
    """What is not done; empty where all is."""
    if not history.begun:
        return "Training has not begun."
    if not history.trained:
        done, total = history.steps_done, history.total_steps or 0
        return f"Training is at step {done:,} of {total:,}."
    if missing_samples:
        still = "is" if missing_samples == 1 else "are"
        return f"Training is done; {counted(missing_samples, 'set')} of samples {still} missing."
    if missing_scores:
        return "Training and sampling are done; the samples have no scores yet."
    return ""
