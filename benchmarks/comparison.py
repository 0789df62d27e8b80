"""What is compared: two runs in turn, and the rows that are read off them. Values only; nothing here runs anything."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Options = dict[str, str | int]


class Unit(Struct, frozen=True):
    """What a figure counts."""

    name: str
    more_is_better: bool = False


class Goal(Struct, frozen=True):
    """What our side is to reach."""

    bound: Literal["at least", "at most"]
    limit: float
    of: Literal["ratio", "figure"] = "ratio"
    """The ratio of the two sides, or our own figure."""

    def reached(self, ratio: float | None, figure: float) -> bool | None:
        """None where there is no ratio to judge."""
        value = ratio if self.of == "ratio" else figure
        if value is None:
            return None
        return value >= self.limit if self.bound == "at least" else value <= self.limit


class Run(Struct, frozen=True):
    """One side: a function here, and what it is called with. It returns figures by name."""

    label: str
    file: str
    function: str
    options: Options
    needs: str | None = None
    """A package, which may not be installed."""


class Row(Struct, frozen=True):
    """One line of the table."""

    title: str
    figure: str
    unit: Unit
    goal: Goal | None = None
    rival_figure: str | None = None
    """Where the rival calls it by another name."""
    has_ratio: bool = True
    """False: the figures are totals of unequal numbers, which say nothing beside each other."""


class Comparison(Struct, frozen=True):
    """Two sides, sampled in turn."""

    name: str
    """What `--only` calls it; several comparisons may share one."""
    ours: Run
    rival: Run
    rows: tuple[Row, ...]
    growth: bool = False
    """Both sides are ours, and the rival is the smaller size: the ratio is then our cost to its, and not a gain."""
    most_pairs: int | None = None
    """Where a sample takes too long for more."""

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(run.needs for run in (self.ours, self.rival) if run.needs is not None)


def shrunk(comparison: Comparison) -> Comparison:
    """The same at a thousandth of its sizes, but not below 10, and with nothing to reach: it shows that all works."""
    return replace(
        comparison,
        ours=_shrunk_run(comparison.ours),
        rival=_shrunk_run(comparison.rival),
        rows=tuple(replace(row, goal=None) for row in comparison.rows),
    )


def _shrunk_run(run: Run) -> Run:
    sizes = {name: max(min(size, 10), size // 1_000) for name, size in run.options.items() if isinstance(size, int)}
    return replace(run, options={**run.options, **sizes})
