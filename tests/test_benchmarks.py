"""The benchmarks: their command at tiny sizes, and the parts that only reckon."""

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
OURS_ALONE = ("members", "alternating", "restart", "capacity")  # these need no peer


def run(*arguments):
    command = [sys.executable, "-X", "utf8", FOLDER / "run.py", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=250, check=False)


@pytest.fixture(scope="module")
def bench():
    """The benchmarks' files, which stand beside one another and are in no package."""
    names = ("comparison", "sample", "pairs", "report", "table", "chart", "visits", "catalog")
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


@pytest.fixture(scope="module")
def compare(bench):
    """Compare two sides that give these samples in turn; an exception is raised."""

    def compare(ours, rival, *, more_is_better=False, growth=False, goal=None, has_ratio=True):
        comparison = bench["comparison"]
        row = comparison.Row("a thing", "cost", comparison.Unit("µs", more_is_better), goal, has_ratio=has_ratio)
        sides = {"ours": iter(ours), "rival": iter(rival)}
        told = []

        def take(run):
            told.append(run.label)
            value = next(sides[run.label])
            if isinstance(value, Exception):
                raise value
            return {"cost": value}

        both = (comparison.Run(label, "file", "function", {"size": 10}) for label in sides)
        pairs = max(len(ours), len(rival))
        (finding,) = bench["pairs"].compare(comparison.Comparison("name", *both, (row,), growth), pairs, take, lambda line: None)
        return finding, told

    return compare


@pytest.fixture(scope="module")
def report(bench):
    def report(*findings, quick=False, left_out=()):
        return bench["report"].Report(quick, "3.11.7", 2, "Linux x86_64", {"pykka": "4.4"}, left_out, 90.0, findings)

    return report


# The command


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quick_run_prints_tables_and_writes_every_sample(tmp_path):
    done = run("--quick", "--pairs", "1", "--only", *OURS_ALONE, "--json", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("NOT A MEASUREMENT")
    assert "Against others." in done.stdout
    assert "Against ourselves." in done.stdout
    assert "| crash, restart, rejoin" in done.stdout
    assert "restart, pair 1 of 1, 100,000 topics: " in done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["quick"] is True
    assert {finding["name"] for finding in found["findings"]} == set(OURS_ALONE)
    assert all(finding["ratio"] > 0 for finding in found["findings"] if finding["figure"] != "peak")
    assert all(len(side["samples"]) == 1 for finding in found["findings"] for side in (finding["ours"], finding["rival"]))
    (topics,) = [finding for finding in found["findings"] if finding["figure"] == "topics"]
    assert (topics["ours"]["median"], topics["rival"]["median"]) == (1_000, 20)


@pytest.mark.slow
def test_the_list_has_a_name_a_line_and_each_stands_in_the_help():
    names = run("--list").stdout.split()
    assert {"spawn", "broadcast", "capacity"} <= set(names)
    assert len(set(names)) == len(names)
    words = run("--help").stdout.replace(",", " ").split()
    assert set(names) <= set(words)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "tall"], "invalid choice: 'tall' (choose from"),
        (["--pairs", "0"], "must be a whole number from 1 up, got '0'"),
        (["--pairs", "many"], "must be a whole number from 1 up, got 'many'"),
        (["--json", "no/such/folder/found.json"], "can't be written: 'no/such/folder/found.json'"),
        (["--only", "topics", "--chart", "chart.svg"], "--chart draws members, alternating: name them in --only too"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_measured(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_a_sample_that_fails_names_its_error(bench):
    run_of_none = bench["comparison"].Run("ours", "on_crowd", "restart", {"topics": "many", "rounds": 1})
    with pytest.raises(bench["sample"].SampleFailed, match="TypeError"):
        bench["sample"].take(run_of_none)


# What only reckons


def test_the_ratio_is_the_median_of_the_pairs_ratios(compare):
    finding, told = compare(ours=[1.0, 2.0, 4.0], rival=[10.0, 10.0, 100.0])
    assert finding.ratios == (10.0, 5.0, 25.0)
    assert finding.ratio == 10.0
    assert (finding.ours.median, finding.rival.median) == (2.0, 10.0)
    assert told == ["ours", "rival"] * 3


def test_a_ratio_says_how_many_times_better_ours_is_whichever_way_the_unit_counts(compare):
    assert compare(ours=[30.0], rival=[10.0], more_is_better=True)[0].ratio == 3
    assert compare(ours=[10.0], rival=[30.0])[0].ratio == 3


def test_a_growth_is_the_cost_in_the_larger_to_that_in_the_smaller(compare):
    assert compare(ours=[12.0], rival=[10.0], growth=True)[0].ratio == 1.2


def test_figures_that_say_nothing_beside_each_other_have_no_ratio(compare):
    finding, _ = compare(ours=[12.0], rival=[10.0], has_ratio=False)
    assert (finding.ratio, finding.ratios, finding.ours.median) == (None, (), 12.0)


@pytest.mark.parametrize(("ours", "reached"), [(1.0, True), (2.0, True), (3.0, False)])
def test_a_goal_is_reached_at_its_very_limit(bench, compare, ours, reached):
    Goal = bench["comparison"].Goal  # noqa: N806 - a class
    assert compare(ours=[ours], rival=[60.0], goal=Goal("at least", 30))[0].reached is reached
    assert compare(ours=[ours], rival=[60.0], goal=Goal("at most", 2, of="figure"))[0].reached is reached


def test_a_side_that_failed_is_not_tried_again_and_the_other_goes_on(bench, compare):
    failure = bench["sample"].SampleFailed("ValueError", "no")
    finding, told = compare(ours=[1.0, 2.0, 3.0], rival=[failure], goal=bench["comparison"].Goal("at least", 30))
    assert told == ["ours", "rival", "ours", "ours"]
    assert (finding.rival.error, finding.rival.median, finding.ours.median) == ("ValueError", None, 2.0)
    assert (finding.ratio, finding.reached) == (None, None)
    assert bench["table"].row(finding) == ["a thing", "µs", "ours: 2.00", "rival: ValueError", "", "0", "at least 30: not known"]


def test_the_table_has_a_line_for_each_row_and_columns_that_stand_in_line(bench, compare, report):
    goal = bench["comparison"].Goal("at least", 30)
    text = bench["table"].markdown(report(compare([2.0, 2.0], [100.0, 50.0], goal=goal)[0], left_out=("xoscar",)))
    assert "Left out: xoscar is not installed" in text
    assert "2 cores" in text
    assert "It took 90 s." in text
    assert "Against ourselves" not in text
    heads, rule, line = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in heads.split("|")[1:-1]][:4] == ["what", "unit", "ours", "rival"]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "a thing",
        "µs",
        "ours: 2.00",
        "rival: 75.0",
        "37.5 (25.0 to 50.0)",
        "2",
        "at least 30: reached",
    ]
    assert len(heads) == len(rule) == len(line)


def test_a_quick_report_says_first_that_it_measures_nothing(bench, compare, report):
    finding, _ = compare([1.0], [1.0])
    assert bench["table"].markdown(report(finding, quick=True)).startswith("NOT A MEASUREMENT")
    assert "NOT A MEASUREMENT" not in bench["table"].markdown(report(finding))


@pytest.mark.parametrize(
    ("value", "text"), [(1_234_567.8, "1,234,568"), (100, "100"), (99.94, "99.9"), (1.154, "1.15"), (0.5, "0.50")]
)
def test_a_number_keeps_the_digits_that_count(bench, value, text):
    assert bench["table"].number(value) == text


def test_a_quick_comparison_has_small_sizes_and_nothing_to_reach(bench):
    for comparison in map(bench["comparison"].shrunk, bench["catalog"].COMPARISONS):
        assert all(row.goal is None for row in comparison.rows)
        for side in (comparison.ours, comparison.rival):
            assert all(size <= 1_000 for size in side.options.values() if isinstance(size, int))


def test_visits_are_the_same_each_time_and_follow_their_law(bench):
    visits = bench["visits"].visits
    assert len(set(visits("hot", 1_000, 500))) == 1
    for law in ("zipf", "uniform"):
        drawn = visits(law, 1_000, 10_000)
        assert drawn == visits(law, 1_000, 10_000)
        assert set(drawn) <= set(range(1_000))
    first, second, _, fourth = (count for _, count in Counter(visits("zipf", 1_000, 10_000)).most_common(4))
    assert first > 1.5 * second > 1.5 * 1.5 * fourth  # 1, 1/2, 1/4, with room for chance
    assert max(Counter(visits("uniform", 1_000, 10_000)).values()) < 40


def test_the_charts_points_are_the_medians_of_all_samples_at_a_size(bench):
    findings = [
        finding(
            bench, "topics", "join tell", {"topics": 1_000, "visited": "hot"}, (5.0,), {"topics": 10, "visited": "hot"}, (2.0,)
        ),
        finding(
            bench, "topics", "join tell", {"topics": 100, "visited": "hot"}, (3.0,), {"topics": 10, "visited": "hot"}, (4.0,)
        ),
        finding(bench, "alternating", "handle", {"members": 50}, (9.0,), {"members": 10}, ()),
        finding(bench, "tell", "tell", {"count": 50}, (9.0,), {"count": 10}, (1.0,)),
    ]
    assert bench["chart"].lines_of(findings) == {
        ("join", "hot", "tell"): {1_000: 5.0, 100: 3.0, 10: 3.0},
        ("members", "alternating", "handle"): {50: 9.0},
    }


def finding(bench, name, figure, our_options, ours, rival_options, rival):
    sides = [
        bench["pairs"].Side("side", options, samples, 0.0, None)
        for options, samples in ((our_options, ours), (rival_options, rival))
    ]
    return bench["pairs"].Finding(name, "title", figure, "µs", *sides, growth=True, ratios=(), ratio=1.0, goal=None, reached=None)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the extra bench is not installed")
def test_the_chart_is_an_svg_with_text_and_the_same_each_time(bench, tmp_path):
    findings = [
        finding(
            bench, "topics", "join tell", {"topics": 1_000, "visited": "hot"}, (5.0,), {"topics": 10, "visited": "hot"}, (2.0,)
        )
    ]
    for name in ("one.svg", "two.svg"):
        bench["chart"].draw(findings, str(tmp_path / name))
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    assert "a join, by topics" in text
