"""What the attacks on recipes and files share: each try has an outcome, a time, and a seed.

An outcome is fine if the input is read, or refused by an error of dddm.  Anything else that is
raised, a try that takes longer than two seconds of a processor, and memory above 1 GiB are found.
"""

import faulthandler
import random
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import click
from attrs import Factory, define

from dddm.errors import DddmError

MOST_SECONDS: Final = 2.0
MOST_MEGABYTES: Final = 1024
_HANGS_AFTER: Final = 300
_ENDED_AFTER: Final = 10
_SHOWN: Final = 20


def megabytes() -> float:
    """The most memory that this process has had."""
    # ru_maxrss would be that of the process that started this one, if that is larger.
    return (
        max(
            int(line.split()[1])
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        / 1024
    )


def _end(*_: object) -> None:
    raise TimeoutError(f"it takes more than {_ENDED_AFTER} s")


@final
@define(kw_only=True)
class Findings:
    """Outcomes of many tries.

    Attributes:
        found: what must not be, one text each.
    """

    outcomes: Counter[str] = Factory(Counter)
    found: list[str] = Factory(list)
    slowest: float = 0.0
    slowest_try: str = ""

    def try_one(self, name: str, read: Callable[[], str]) -> None:
        """Let `read` say what it read, or be refused."""
        faulthandler.dump_traceback_later(_HANGS_AFTER, exit=True)  # outside of Python
        signal.signal(signal.SIGVTALRM, _end)
        signal.setitimer(signal.ITIMER_VIRTUAL, _ENDED_AFTER)
        start = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = read()
        except DddmError as error:
            outcome = f"refused: {type(error).__name__}"
            str(error).encode()  # what is shown can be printed
        except Exception as error:  # noqa: BLE001 - what the attack looks for
            outcome = f"{type(error).__name__} that is not an error of dddm"
            self.found.append(f"{name}\n{traceback.format_exc(limit=-4)}")
        seconds = time.process_time() - start
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        faulthandler.cancel_dump_traceback_later()
        if seconds > self.slowest:
            self.slowest, self.slowest_try = seconds, name
        if seconds > MOST_SECONDS:
            self.found.append(f"{name}: {seconds:.1f} s")
        self.outcomes[outcome] += 1

    def show(self) -> int:
        """Print the outcomes; the number of what was found."""
        for outcome, count in self.outcomes.most_common():
            click.echo(f"{count:7,}  {outcome}")
        click.echo(
            f"slowest: {self.slowest:.2f} s ({self.slowest_try}); memory: {megabytes():.0f} MB"
        )
        if megabytes() > MOST_MEGABYTES:
            self.found.append(f"{megabytes():.0f} MB of memory")
        for text in self.found[:_SHOWN]:
            click.echo(f"\n{text}")
        click.echo(f"found: {len(self.found)}")
        return len(self.found)


def chance_of(number: int) -> random.Random:
    """The same for the same try."""
    return random.Random(number)  # noqa: S311 - nothing is kept secret by it


@contextmanager
def progress(tries: int) -> Iterator[Callable[[int], None]]:
    """Show every thousandth try on stderr."""
    yield lambda k: click.echo(f"{k:,} of {tries:,}", err=True) if k % 1000 == 0 else None


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to four pieces changed, moved, cut out or put in."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        if chance.random() < 0.4:  # headers are at the start or the end
            at = chance.choice((at % 64, max(0, len(changed) - 1 - at % 64)))
        length = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(7):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[at : at + length] = chance.choice((b"\xff", b"\0", b"\x7f")) * length
            case 2:
                del changed[at : at + chance.choice((1, 8, 1000))]
            case 3:
                changed[at:at] = chance.randbytes(length)
            case 4:
                other = chance.randrange(len(changed) + 1)
                changed[at : at + length] = changed[other : other + length]
            case 5:
                del changed[at:]
            case 6:
                number = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**16 - 1, 2**62))
                size = chance.choice((2, 4, 8))
                order = chance.choice(("little", "big"))
                changed[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, order)
    return bytes(changed)
