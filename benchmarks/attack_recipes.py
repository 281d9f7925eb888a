"""Changes recipes in any way, and reads them through Python and through the command line.

    python benchmarks/attack_recipes.py --recipes 20000 --commands 500

Each is one of the recipes that come with dddm with one to four changes, some of them by `--set`.
It must be read, or refused in words; `tests/toys/attack.py` says what else is looked for.
A finding names its number: `--first 1234 --recipes 1 --show` shows that recipe again.
"""

import io
import os
import random
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "toys"))

from attack import MOST_SECONDS, Findings, chance_of, progress

from dddm.recipe.source import shipped_folder, shipped_names
from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue

_VALUES: Final = (
    "0", "-1", "1", "2", "1000000000000", "9223372036854775807", "-9223372036854775808", "1e308",
    "1e-308", "-0.0", "inf", "nan", "true", '""', '"a"', '"/dev/zero"', '"digits"',
    '"../../../etc/passwd"', '"\\u0000"', '"\\u001b[31m"', f'"{"x" * 5000}"', "[]", "[[]]", "[1]",
    "[1, 1]", "[-1]", "[1000000000000]", "[" * 200 + "]" * 200, f"[{'1, ' * 3000}1]", "{}",
    '{ use = "l1" }', "{ a = { b = { c = 1 } } }", "1979-05-27", "07:32:00", "'''\n'''",
    "0x7fffffffffffffff", "9" * 400, '"dddm:"', '":"', '"p:q:r"',
)  # fmt: skip
_LINES: Final = (
    "[x]", "[[x]]", "[sampel.x]", "[[sweep]]", '[[sweep]]\nname = "a"',
    '[[sweep]]\nname = "a"\n[[sweep]]\nname = "A"', "training_seeds = [0, 1]", "[evaluate]",
    "[train]", "[data]", '[[sample]]\nuse = "fixed-time"\nsteps = [1]', 'extends = "digits"',
    'extends = "any.toml"', 'extends = "/dev/zero"', 'preset = "any.toml"', "=", "[", "]]", '"',
    "'''", "# \u202e", "a" * 3000, ".".join("a" * 400) + " = 1", "[[reported]]", "seeds = 1000",
    'requires = ["x>=1"]', 'requires = ["' + "(" * 500 + '"]', "\ufeff", "\r", "\0", "x = 1\r\n",
)  # fmt: skip
_COMMANDS: Final = (
    ["check"],
    ["show"],
    ["show", "--json"],
    ["show", "--origin"],
    ["check", "--json"],
)


def changed(text: str, chance: random.Random) -> tuple[str, list[str]]:
    """A recipe with one to four changes, and words for `--set`."""
    overrides: list[str] = []
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        lines = text.split("\n")
        at = chance.randrange(len(lines))
        written = [k for k, line in enumerate(lines) if " = " in line and line[0] != "#"]
        pair = chance.choice(written) if written else at
        key = lines[pair].partition(" = ")[0]
        match chance.randrange(10):
            case 0 | 1 | 2:
                lines[pair] = f"{key} = {chance.choice(_VALUES)}"
            case 3:
                letter = chance.randrange(len(key) + 1)
                lines[pair] = (
                    lines[pair][:letter] + chance.choice("abz_-. é") + lines[pair][letter:]
                )
            case 4:
                del lines[at]
            case 5:
                lines.insert(at, chance.choice(lines))
            case 6 | 7:
                lines.insert(at, chance.choice(_LINES))
            case 8:
                letter = chance.randrange(len(lines[at]) + 1)
                lines[at] = (
                    lines[at][:letter] + chr(chance.randrange(0xD800)) + lines[at][letter + 1 :]
                )
            case 9:
                table = chance.choice(
                    ("", "data.", "train.", "backbone.", "sample.0.", "evaluate.", "sweep.0.")
                )
                overrides.append(f"{table}{key.strip()}={chance.choice(_VALUES).strip(chr(34))}")
        text = "\n".join(lines)
    return text, overrides


def recipe(number: int) -> tuple[str, list[str]]:
    """The changed recipe of that number."""
    chance = chance_of(number)
    name = chance.choice(shipped_names())
    return changed((shipped_folder() / f"{name}.toml").read_text(encoding="utf-8"), chance)


def attack(numbers: range, folder: Path, catalogue: Catalogue) -> Findings:
    """Read the recipes of these numbers."""
    findings, file = Findings(), folder / "any.toml"
    with progress(len(numbers)) as shown:
        for k, number in enumerate(numbers, 1):
            text, overrides = recipe(number)
            file.write_bytes(text.encode("utf-8", "surrogatepass"))

            def read() -> str:
                found = read_recipe_or_sweep(file, overrides=overrides, catalogue=catalogue)
                return "read: a sweep" if isinstance(found, Sweep) else "read"

            findings.try_one(f"recipe {number}", read)
            shown(k)
    return findings


def attack_commands(numbers: range, folder: Path) -> Findings:
    """Give the recipes of these numbers to commands, each in a process of its own."""
    from dddm.cli.main import main as dddm

    findings, file = Findings(), folder / "any.toml"
    for number in numbers:
        text, overrides = recipe(number)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        words = [*_COMMANDS[number % len(_COMMANDS)], str(file)]
        words += [word for one in overrides if "\0" not in one for word in ("--set", one)]

        def run() -> str:
            child = os.fork()  # Python and dddm are imported once
            if child == 0:
                out, err, code = io.StringIO(), io.StringIO(), 99
                try:
                    with redirect_stdout(out), redirect_stderr(err):
                        dddm(words)
                except SystemExit as ended:
                    code = int(ended.code or 0)
                said = out.getvalue() + err.getvalue()
                bad = "Traceback" in said or "\x1b" in said or (code and not err.getvalue())
                os._exit(99 if bad else code)
            _, status, usage = os.wait4(child, 0)
            code, seconds = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
            if code not in {0, 2, 3, 4} or seconds > MOST_SECONDS:
                raise RuntimeError(f"dddm {' '.join(words)[:500]}: exit code {code}, {seconds} s")
            return f"exit code {code}"

        findings.try_one(f"recipe {number}", run)
    return findings


@click.command()
@click.option("--recipes", default=20_000)
@click.option("--commands", default=500)
@click.option("--first", default=0)
@click.option("--show", is_flag=True, help="Print the changed recipes instead.")
def main(recipes: int, commands: int, first: int, show: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Attack, and exit with 1 if anything is found."""
    numbers = range(first, first + recipes)
    if show:
        for number in numbers:
            text, overrides = recipe(number)
            print(text, *overrides, sep="\n--set ")
        return
    with tempfile.TemporaryDirectory() as place:
        print(f"{recipes:,} recipes through Python")
        found = attack(numbers, Path(place), load_catalogue()).show()
        print(f"{commands:,} through the command line")
        found += attack_commands(range(first, first + commands), Path(place)).show()
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
