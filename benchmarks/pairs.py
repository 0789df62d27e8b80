"""Pairs in turn: ours, the rival, ours, the rival; and what they come to."""

from collections.abc import Callable
from statistics import median

from comparison import Comparison, Goal, Options, Row, Run
from msgspec import Struct
from sample import Figures, SampleFailed


class Side(Struct, frozen=True):
    """One side's part in a finding."""

    label: str
    options: Options
    samples: tuple[float, ...]
    median: float | None
    """None where it failed."""
    error: str | None


class Finding(Struct, frozen=True):
    """A row of the table, measured."""

    name: str
    title: str
    figure: str
    unit: str
    ours: Side
    rival: Side
    growth: bool
    ratios: tuple[float, ...]
    """One for each pair: how many times better ours is; or its cost to the smaller size's, where `growth`."""
    ratio: float | None
    """Their median; None where a side failed, or the row has none."""
    goal: Goal | None
    reached: bool | None


class Runner(Struct):
    """A side while it is sampled. It is not tried again once it has failed."""

    run: Run
    samples: list[Figures] = []
    error: str | None = None

    def sample(self, take: Callable[[Run], Figures]) -> str:
        """One more sample; returns a line that says what came of it."""
        if self.error is None:
            try:
                self.samples.append(take(self.run))
            except SampleFailed as failure:
                self.error = failure.error
                return f"{self.run.label}: {failure}"
        return f"{self.run.label}: {self.error or ', '.join(f'{name} {value:,.2f}' for name, value in self.samples[-1].items())}"

    def side(self, figure: str) -> Side:
        values = () if self.error else tuple(sample[figure] for sample in self.samples)
        return Side(self.run.label, self.run.options, values, median(values) if values else None, self.error)


def compare(comparison: Comparison, pairs: int, take: Callable[[Run], Figures], say: Callable[[str], None]) -> list[Finding]:
    """Sample both sides so many times in turn; one finding for each row. `say` is told each sample."""
    ours, rival = Runner(comparison.ours), Runner(comparison.rival)
    for number in range(1, pairs + 1):
        for runner in (ours, rival):
            say(f"{comparison.name}, pair {number} of {pairs}, {runner.sample(take)}")
    return [_finding(comparison, row, ours, rival) for row in comparison.rows]


def _finding(comparison: Comparison, row: Row, our_runner: Runner, rival_runner: Runner) -> Finding:
    ours, rival = our_runner.side(row.figure), rival_runner.side(row.rival_figure or row.figure)
    ours_first = row.unit.more_is_better or comparison.growth
    ratios = ratios_of(ours.samples, rival.samples, ours_first=ours_first) if row.has_ratio else ()
    ratio = median(ratios) if ratios else None
    return Finding(
        name=comparison.name,
        title=row.title,
        figure=row.figure,
        unit=row.unit.name,
        ours=ours,
        rival=rival,
        growth=comparison.growth,
        ratios=ratios,
        ratio=ratio,
        goal=row.goal,
        reached=None if row.goal is None or ours.median is None else row.goal.reached(ratio, ours.median),
    )


def ratios_of(ours: tuple[float, ...], rival: tuple[float, ...], *, ours_first: bool) -> tuple[float, ...]:
    """Pair by pair ours to the rival's, or the rival's to ours; empty if either side has no samples."""
    return tuple(a / b if ours_first else b / a for a, b in zip(ours, rival, strict=False))
