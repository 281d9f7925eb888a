"""`dddm plugin new`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from command_line import dddm, succeeded

from dddm.cli.plugin_new import new
from dddm.interfaces.plugin import Kind


def call(*words: str) -> Result:
    return CliRunner().invoke(new, [*words])


def test_it_says_what_was_written_and_what_to_type_next(tmp_path: Path) -> None:
    """On stdout, through the real command line; the second time it is refused, with a remedy."""
    words = ("plugin", "new", "dddm-sweet-pea", "--kind", "sampler", "--author", "A. Nother")
    said = succeeded(dddm(*words, cwd=tmp_path))
    assert "  src/dddm_sweet_pea/sampler.py\n" in said
    assert "The sampler is sweet-pea:sweet-pea." in said
    assert said.endswith(
        "  cd dddm-sweet-pea\n  python -m pip install -e '.[test]'\n  python -m pytest\n"
        "  dddm run recipe.toml\n"
    )
    assert "A. Nother" in (tmp_path / "dddm-sweet-pea/LICENSE").read_text()
    again = dddm(*words, cwd=tmp_path)
    assert again.returncode == 2
    assert "the folder is not empty" in again.stderr
    assert "choose another one with --folder" in again.stderr


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    """All eight."""
    done = call("dddm-sweet-pea", "--kind", "metrik")
    assert done.exit_code == 2
    assert all(f"'{kind.value}'" in done.output for kind in Kind)


def test_without_a_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is written when none is asked for, and the component is called as one says."""
    monkeypatch.chdir(tmp_path)
    done = call("dddm-peas", "--kind", "metric", "--license", "NONE", "--component", "sweet-pea")
    assert done.exit_code == 0
    assert "peas:sweet-pea" in done.output
    assert not (tmp_path / "dddm-peas/LICENSE").exists()


def test_who_writes_a_loss_is_told_its_kind() -> None:
    """A loss is a metric here."""
    done = call("dddm-sweet-pea", "--kind", "loss")
    assert done.exit_code == 2
    assert "a loss is a metric: --kind metric" in done.output
