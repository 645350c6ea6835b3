"""The report of the benchmarks, from made-up figures."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.bench.figures import Figure, Key, throughput_figures
from tests.bench.load import Load
from tests.bench.report import FIGURES_HEAD, LOADS_HEAD, bars, figure_row, load_rows, table

SVG = "{http://www.w3.org/2000/svg}"
LOADS = {
    Key("mock-fal", "submit", 16): [Load(800, 1, 2, 0), Load(400, 1, 2, 0), Load(900, 1, 2, 0)],
    Key("mock-fal", "status", 16): [Load(1800, 1, 2, 0)] * 3,
    Key("mock-fal", "result", 16): [Load(1200, 1, 2, 0)] * 3,
    Key("mock-fal", "lifecycle", 16): [Load(1100, 1, 2, 300)] * 3,
    Key("bare", "hello", 16): [Load(1000, 1, 2, 0), Load(500, 1, 2, 0), Load(1000, 1, 2, 0)],
    Key("aimock", "lifecycle", 16): [Load(400, 1, 2, 100)] * 3,
    Key("nginx", "hello", 16): [Load(4000, 1, 2, 0)] * 3,
    Key("mock-fal", "status", 64): [Load(1800, 1, 9, 0)] * 3,
    Key("bare", "hello", 64): [Load(1000, 1, 3, 0)] * 3,
}


def test_a_ratio_is_the_median_of_the_ratios_of_the_same_round() -> None:
    submit, *_, p99 = throughput_figures(LOADS)
    assert (submit.name, submit.value, submit.is_met) == ("submit", 0.8, True)
    assert (p99.value, p99.is_met) == (3.0, False)


def test_a_goal_is_met_at_its_limit() -> None:
    assert Figure("a", 2.0, "×", "≤", 2.0).is_met and Figure("a", 2.0, "×", "≥", 2.0).is_met
    assert not Figure("a", 2.1, "×", "≤", 2.0).is_met
    assert Figure("a", 2.1, "×").is_met, "without a goal"


def test_the_table_names_missed_goals() -> None:
    text = table(FIGURES_HEAD, [figure_row(Figure("idle memory", 1.2, "× bare app", "≤", 1.1, "40 MB"))])
    assert text.splitlines()[2] == "| idle memory | 1.2 × bare app | ≤ 1.1 | **missed** | 40 MB |"


def test_loads_are_listed_by_connections() -> None:
    lines = table(LOADS_HEAD, load_rows({key: LOADS[key] for key in reversed(LOADS)})).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == ["16"] * 7 + ["64"] * 2
    assert "| 16 | nginx | hello | 4,000 | 4.00 | 1.00 | 2.00 |" in lines


def test_the_picture_has_a_bar_for_each_load() -> None:
    picture = ElementTree.fromstring(bars(LOADS, 16))
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert texts[2::2] == [
        "mock-fal, submit",
        "mock-fal, status",
        "mock-fal, result",
        "mock-fal, lifecycle",
    ] + [
        "aimock, lifecycle",
        "bare",
        "nginx",
    ]
    bar = [float(element.attrib["width"]) for element in picture.iter(f"{SVG}rect")][1:]
    assert bar[-1] == max(bar) and len(bar) == 7
