"""A report as Markdown: what was run on what, and two tables."""

from collections.abc import Iterable, Sequence

from pairs import Finding, Side
from report import Report

NO_MEASUREMENT = "NOT A MEASUREMENT: a quick run, with a thousandth of the sizes that the rows name, shows only that all works."
AGAINST_OTHERS = "Against others. The ratio says how many times better ours is."
AGAINST_OURSELVES = "Against ourselves. The ratio is the cost in the larger to the cost in the smaller."

_HEADS = ("what", "unit", "ours", "{}", "ratio (from to)", "pairs", "to reach")


def markdown(report: Report) -> str:
    parts = [NO_MEASUREMENT] if report.quick else []
    parts += [_machine(report)]
    parts += [f"Left out: {name} is not installed; `pip install '.[bench]'` brings it." for name in report.left_out]
    for growth, words, rival in ((False, AGAINST_OTHERS, "rival"), (True, AGAINST_OURSELVES, "smaller")):
        rows = [row(finding) for finding in report.findings if finding.growth == growth]
        if rows:
            parts += [words, _table([head.format(rival) for head in _HEADS], rows)]
    return "\n\n".join(parts)


def row(finding: Finding) -> list[str]:
    ratio = ""
    if finding.ratio is not None:
        ratio = number(finding.ratio)
        if len(finding.ratios) > 1:
            ratio += f" ({number(min(finding.ratios))} to {number(max(finding.ratios))})"
    return [
        finding.title,
        finding.unit,
        _side(finding.ours),
        _side(finding.rival),
        ratio,
        str(min(len(finding.ours.samples), len(finding.rival.samples))),
        _goal(finding),
    ]


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _side(side: Side) -> str:
    return f"{side.label}: {side.error if side.median is None else number(side.median)}"


def _goal(finding: Finding) -> str:
    goal = finding.goal
    if goal is None:
        return ""
    unit = f" {finding.unit}" if goal.of == "figure" else ""
    verdict = {True: "reached", False: "missed", None: "not known"}[finding.reached]
    return f"{goal.bound} {goal.limit:,.10g}{unit}: {verdict}"


def _machine(report: Report) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    minutes = f"{report.seconds / 60:.0f} minutes" if report.seconds > 120 else f"{report.seconds:.0f} s"
    return f"Python {report.python}, {report.cores} cores, {report.system}; {versions}. It took {minutes}."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    ruled = [heads, ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in ruled
    )
