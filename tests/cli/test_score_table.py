"""The table shows each set of samples once, beside what real images reach."""

import io
import re

import attrs
from measures import measure_of
from rich.console import Console

from dddm.cli.score_table import other_scores_table, score_table
from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.info import Measure
from dddm.interfaces.measurement import Baseline, Floor
from dddm_scores import DIVERSITY


def frechet(steps: int, value: float) -> ScoreRecord:
    return ScoreRecord(
        measure=measure_of("fd"),
        name="fd-digits-classifier@1500",
        value=value,
        sampler="fixed-time",
        steps=steps,
        images=1500,
        reference_images=1500,
        floors=(
            Floor(name="resample", value=0.4, images=1500),
            Floor(name="held-out", value=0.74, images=297, generated_value=value + 0.5),
        ),
    )


def nearest(steps: int) -> ScoreRecord:
    return ScoreRecord(
        measure=measure_of("nearest"),
        name="nearest-digits-classifier@1500",
        value=2.5,
        sampler="fixed-time",
        steps=steps,
        images=1500,
        reference_images=1500,
        floors=(Floor(name="held-out", value=2.25, images=297),),
        details={"held_out_median": 2.25, "close_threshold": 0.5, "close_share": 0.0123},
    )


def lines(*scores: ScoreRecord) -> list[str]:
    """The table's lines, as wide as a narrow terminal."""
    out = io.StringIO()
    Console(file=out, width=80).print(score_table(scores))
    return out.getvalue().splitlines()


def row(text: str) -> list[str]:
    return re.split(r"\s{2,}", text.strip())


def test_evaluations_are_shown_where_they_are_not_the_steps() -> None:
    """A second-order sampler's row says both; the column is that of the steps."""
    heun = attrs.evolve(frechet(5, 3.4), sampler="heun", evaluations=9)
    (shown,) = [row(line) for line in lines(frechet(5, 44.1), heun) if "heun" in line]
    assert shown[:3] == ["heun", "5 (9 evaluations)", "1500"]


def test_one_row_for_each_set() -> None:
    """FD and nearest of one set share a row; nothing is cut off in 80 columns."""
    shown = lines(frechet(1, 44.123), nearest(1), frechet(100, 3.4), nearest(100))
    rows = [row(line) for line in shown if "fixed-time" in line]
    cells = ["44.1", "0.400", "0.740/44.6", "2.50/2.25", "1.2%"]
    assert rows[0] == ["fixed-time", "1", "1500", *cells]
    assert rows[1][:4] == ["fixed-time", "100", "1500", "3.40"]
    assert len(rows) == 2
    assert not any("…" in line for line in shown)
    assert any("real / generated images, 297 of each" in line for line in shown)
    assert "against 1,500 training images, features: digits-classifier" in shown[0]


def test_a_usual_table_fits_into_a_terminal() -> None:
    """Of small numbers beside baselines, with every heading whole."""
    gaussian = Baseline(name="class-gaussian", words="a Gaussian", value=0.478, images=500)
    fd = attrs.evolve(
        frechet(1, 0.076),
        floors=(
            Floor(name="resample", value=0.002, images=500),
            Floor(name="held-out", value=0.002, images=500, generated_value=0.076),
        ),
        baselines=(gaussian,),
    )
    details = {"held_out_median": 0.222, "close_threshold": 0.1, "close_share": 0.0}
    floor = Floor(name="held-out", value=0.222, images=500)
    near = attrs.evolve(nearest(1), value=0.269, floors=(floor,), details=details)
    shown = lines(fd, near)
    assert any(line.split()[-2:] == ["nearest", "close"] for line in shown)
    assert not any("…" in line for line in shown)


def test_sets_of_one_name_stay_apart() -> None:
    """Two sets of one sampler, at as many steps, have a row each."""
    shown = lines(frechet(1, 44.1), nearest(1), frechet(1, 22.2), nearest(1))
    assert [row(line)[3] for line in shown if "fixed-time" in line] == ["44.1", "22.2"]


def test_what_was_not_measured_is_a_dash() -> None:
    """Of another set of samples; no scores leave a table without rows."""
    shown = lines(frechet(1, 1), nearest(1), nearest(2), frechet(3, 1))
    rows = [row(line) for line in shown if "fixed-time" in line]
    assert rows[1][3:6] == ["–"] * 3
    assert rows[2][6:] == ["–"] * 2
    assert "no scores" in lines()[0]


def test_no_held_out_images() -> None:
    bare = ScoreRecord(
        measure=measure_of("nearest"),
        name="nearest-pixels@8",
        value=2.5,
        sampler="annealed",
        steps=1,
        images=8,
        reference_images=20,
        floors=(),
    )
    assert row(next(line for line in lines(bare) if "annealed" in line))[3:] == ["2.50", "–"]


def test_numbers_stay_short() -> None:
    """About three digits of any size; rounding errors about 0 are 0, without a sign."""
    shown = {
        value: row(next(line for line in lines(frechet(1, value)) if "fixed-time" in line))[3]
        for value in (-1.14e-13, 0.0312, 0.9996, 9.99, 44.123, 196.4, 12345.6)
    }
    assert list(shown.values()) == ["0.000", "0.031", "1.000", "9.99", "44.1", "196", "12,346"]


def test_the_largest_numbers_stay_short() -> None:
    """Of samples that are no images any more."""
    assert any(" 1e+308 " in line for line in lines(frechet(1, 1e308)))


def test_a_mean_over_seeds_has_its_deviation() -> None:
    """Beside FD, and in a line of its own below the other scores, within 80 columns."""
    details = {"deviation_over_seeds": 0.0123}
    fd = attrs.evolve(frechet(1, 44.123), details={"deviation_over_seeds": 1.5})
    others = [
        attrs.evolve(
            fd,
            measure=measure_of(name),
            floors=(Floor(name="held-out", value=0.5, images=297),),
            name=f"{name}-x@1500",
            value=0.75,
            details=details,
        )
        for name in ("kid", "is", "precision", "recall", "density", "coverage", "authenticity")
    ]
    assert row(next(line for line in lines(fd) if "fixed-time" in line))[3] == "44.1±1.50"
    table = other_scores_table([fd, *others])
    assert table is not None
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    shown = out.getvalue().splitlines()
    at = next(k for k, line in enumerate(shown) if "fixed-time" in line)
    assert row(shown[at]) == ["fixed-time", "1", "750", *["0.750"] * 6]
    assert row(shown[at + 1]) == ["±", "12.3", *["0.012"] * 6]
    assert row(shown[at + 2])[0] == "real"
    assert not any("…" in line for line in shown)
    assert other_scores_table([fd]) is None


def test_a_third_party_score_is_shown_in_its_own_words() -> None:
    """With its heading, direction, explanation and factor, and real images in the last row."""
    sliced = Measure(
        name="sliced",
        words="Sliced Wasserstein",
        better="less",
        explained="how far features must be moved",
        heading="SW·10²",
        times=100,
    )
    mine = attrs.evolve(
        frechet(1, 0.5),
        measure=sliced,
        floors=(Floor(name="held-out", value=0.25, images=9),),
    )
    table = other_scores_table([mine])
    assert table is not None
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    shown = out.getvalue()
    assert row(shown.splitlines()[0]) == ["sampler", "steps", "SW·10²"]
    said = "SW·10²: Sliced Wasserstein: how far features must be moved; less is better"
    assert said in " ".join(shown.split())
    assert [row(line)[-1] for line in shown.splitlines() if "fixed-time" in line] == ["50.0"]
    assert ["real", "–", "25.0"] in [row(line) for line in shown.splitlines()]


def with_baselines(score: ScoreRecord, *values: float) -> ScoreRecord:
    names = (("class-gaussian", "a Gaussian for each class"), ("blurred-2", "half size"))
    found = (
        Baseline(name=name, words=words, value=value, images=score.images)
        for (name, words), value in zip(names, values, strict=False)
    )
    return attrs.evolve(score, baselines=tuple(found))


def test_baselines_have_rows_of_their_own() -> None:
    """Once below all samples, at their number of images, in 80 columns; what they are below."""
    few = attrs.evolve(frechet(4, 2), images=700)
    shown = lines(
        with_baselines(frechet(1, 44.1), 19.2, 60.5),
        with_baselines(nearest(1), 3.01),
        with_baselines(frechet(2, 3.4), 19.2, 60.5),
        with_baselines(nearest(2), 3.01),
        with_baselines(few, 21.5),
    )
    rows = [row(line) for line in shown]
    gaussian = ["class-gaussian", "–", "1500", "19.2", "–", "–", "3.01", "–"]
    blurred = ["blurred-2", "–", "1500", "60.5", "–", "–", "–", "–"]
    other = ["class-gaussian", "–", "700", "21.5", "–", "–", "–", "–"]
    place = rows.index(gaussian)
    assert rows[place : place + 3] == [gaussian, blurred, other]
    assert rows[place - 1][0] == "fixed-time"
    text = " ".join(" ".join(shown).split())
    assert text.count("class-gaussian: no network: a Gaussian for each class") == 1
    assert "a Gaussian for each class reaches 19.2, without a network" in text
    assert "are not better: 44.1 (fixed-time, 1 step)" in text
    assert "3.4 (" not in text


def test_baselines_in_the_second_table() -> None:
    """Below real images, scaled as the column."""
    kid = ScoreRecord(
        measure=measure_of("kid"),
        name="kid-pixels@8",
        value=0.03,
        sampler="annealed",
        steps=1,
        images=8,
        reference_images=20,
        floors=(Floor(name="held-out", value=0.001, images=8),),
    )
    table = other_scores_table([with_baselines(kid, 0.02)])
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    rows = [row(line) for line in out.getvalue().splitlines()]
    assert rows.index(["class-gaussian", "–", "20.0"]) == rows.index(["real", "–", "1.00"]) + 1
    assert "class-gaussian: no network" in out.getvalue()


def test_diversity_stands_beside_recall() -> None:
    """In the second table, with held-out images in the row of real ones."""
    one = ScoreRecord(
        measure=DIVERSITY.measures[0],
        name="diversity-pixels@8",
        value=0.31,
        sampler="annealed",
        steps=1,
        images=8,
        reference_images=20,
        floors=(Floor(name="held-out", value=0.98, images=8),),
    )
    assert not any("divers." in line for line in lines(one))
    out = io.StringIO()
    Console(file=out, width=80).print(other_scores_table([one]))
    rows = [row(line) for line in out.getvalue().splitlines()]
    assert ["annealed", "1", "0.310"] in rows
    assert ["real", "–", "0.980"] in rows
