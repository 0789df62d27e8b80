"""The chart: what an event costs in channels of each size."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any

from pairs import Finding

NEEDS = ("topics", "members", "alternating")
"""The names of the comparisons that it draws."""

_PANELS = {
    "broadcast": "a broadcast, by topics",
    "rejoin": "a rejoin, by topics",
    "join": "a join, by topics",
    "members": "in one topic, by members",
}
_STYLES = {"tell": "solid", "handle": "dashed"}
_COLORS = {
    "hot": "#b23a48",
    "zipf": "#2a6f97",
    "uniform": "#5a8f29",
    "broadcast": "#b23a48",
    "rejoin": "#2a6f97",
    "join": "#5a8f29",
    "alternating": "#8d5b9d",
}

Lines = dict[tuple[str, str, str], dict[int, float]]
"""(panel, line, way) -> size -> microseconds."""


def draw(findings: Iterable[Finding], path: str) -> None:
    """Write the chart as SVG. The same findings always give the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # Text stays text and not outlines; the salt makes ids that don't change.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lightspeed", "font.size": 9})
    figure, grid = pyplot.subplots(2, 2, figsize=(10, 6.5), sharey=True, layout="constrained")
    axes = dict(zip(_PANELS, grid.flat, strict=True))
    for (panel, line, way), points in lines_of(findings).items():
        sizes = sorted(points)
        costs = [points[size] for size in sizes]
        axes[panel].plot(
            sizes, costs, label=f"{line}, {way}", color=_COLORS[line], linestyle=_STYLES[way], marker="o", markersize=3
        )
    for panel, title in _PANELS.items():
        _label(axes[panel], title)
    figure.savefig(path, metadata={"Date": None})


def _label(axis: Any, title: str) -> None:
    axis.set(title=title, xlabel=title.rpartition(" ")[2], ylabel="µs an event", xscale="log")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_formatter("{x:,g}")
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    if axis.lines:  # none where all its samples failed
        axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def lines_of(findings: Iterable[Finding]) -> Lines:
    """The median of all samples of each point; a small size has been sampled against each of the larger ones."""
    samples: dict[tuple[str, str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for finding in findings:
        if finding.name in NEEDS:
            for side in (finding.ours, finding.rival):
                samples[_line(finding)][int(side.options["topics" if finding.name == "topics" else "members"])] += side.samples
    return {line: {size: median(values) for size, values in points.items() if values} for line, points in samples.items()}


def _line(finding: Finding) -> tuple[str, str, str]:
    event, _, way = finding.figure.rpartition(" ")
    if finding.name == "topics":
        return event, str(finding.ours.options["visited"]), way
    return "members", event or "alternating", way
