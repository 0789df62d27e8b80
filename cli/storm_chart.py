"""The chart of a storm as SVG: faults, crashes and heals over time, and the time to heal as a histogram."""

import math
from collections.abc import Iterable, Iterator, Sequence

from lightspeed.cli.storm_pulse import Pulse
from lightspeed.cli.storm_run import Report

_WIDTH, _HEIGHT = 900, 620
_LEFT, _RIGHT = 70, 880
_COLOURS = {"faults": "#d9822b", "crashes": "#c23030", "heals": "#0f9960"}
_STROKES = {"faults": (1.5, 1.0), "crashes": (6, 0.35), "heals": (1.5, 1.0)}  # each crash heals: two thin lines would be one
_BINS = 90  # at most so many points of a line, nine pixels apart


def chart(report: Report, pulse: Pulse) -> str:
    """The whole file."""
    title = f"A storm of {report.seconds:.1f} s: {report.account.sent:,} events, {report.account.unaccounted} unaccounted for"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            _text(_LEFT, 28, title, size=16),
            *_over_time(report, pulse),
            *_histogram(report, pulse.heal_s),
            "</svg>\n",
        ]
    )


def _over_time(report: Report, pulse: Pulse) -> Iterator[str]:
    top, bottom = 70, 300
    tenths = max([int(report.seconds * 10) + 1, *(tenth + 1 for beat in pulse.beats.values() for tenth in beat)])
    per_bin = math.ceil(tenths / _BINS)
    lines = {
        what: [sum(beat[tenth] for tenth in range(start, start + per_bin)) * 10 / per_bin for start in range(0, tenths, per_bin)]
        for what, beat in pulse.beats.items()
    }
    most = _top(max(1.0, *(max(line) for line in lines.values())))
    span_s = max(len(lines["faults"]) - 1, 1) * per_bin / 10
    yield from _axes(top, bottom, "a second", "seconds since it began", most)
    for tick in _ticks(span_s):
        yield _tick_below(_LEFT + (_RIGHT - _LEFT) * tick / span_s, bottom, f"{tick:g}")
    for place, (what, line) in enumerate(lines.items()):
        step = (_RIGHT - _LEFT) / max(len(line) - 1, 1)
        points = " ".join(f"{_LEFT + i * step:.1f},{bottom - (bottom - top) * v / most:.1f}" for i, v in enumerate(line))
        width, opacity = _STROKES[what]
        stroke = f'stroke="{_COLOURS[what]}" stroke-width="{width}" stroke-opacity="{opacity}"'
        yield f'<polyline fill="none" {stroke} stroke-linejoin="round" points="{points}"/>'
        x = _LEFT + 130 * place
        yield f'<rect x="{x}" y="44" width="12" height="12" fill="{_COLOURS[what]}" fill-opacity="{opacity}"/>'
        yield _text(x + 18, 54, f"{what}, {pulse.beats[what].total():,}")


def _histogram(report: Report, heal_s: Sequence[float]) -> Iterator[str]:
    """On a logarithmic scale: ten columns from each power of ten to the next."""
    top, bottom, heals = 390, 570, report.time_to_heal_ms
    places = [math.floor(10 * math.log10(max(s * 1e3, 0.01))) for s in heal_s]
    first, last = _decades(places)
    columns = [places.count(place) for place in range(first, last)]
    most = _top(max([1, *columns]))
    yield _text(_LEFT, top - 22, f"time to heal: p50 {heals.p50:.1f} ms, p99 {heals.p99:.1f} ms, of {heals.count:,} heals")
    yield from _axes(top, bottom, "heals", "ms, from topic_crashed to topic_restarted", most)
    width = (_RIGHT - _LEFT) / (last - first)
    for place, count in enumerate(columns):
        height = (bottom - top) * count / most
        x = _LEFT + place * width
        yield f'<rect x="{x:.1f}" y="{bottom - height:.1f}" width="{width - 1:.1f}" height="{height:.1f}" fill="#0f9960"/>'
    for place in range(first, last + 1, 10):
        yield _tick_below(_LEFT + (place - first) * width, bottom, f"{10 ** (place / 10):,g}")
    for name, at_ms in (("p50", heals.p50), ("p99", heals.p99)):
        if at_ms > 0:
            x = _LEFT + (10 * math.log10(max(at_ms, 0.01)) - first) * width
            yield f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="#333" stroke-dasharray="4 3"/>'
            yield _text(x + 4, top + 12 if name == "p50" else top + 26, name)


def _decades(places: Iterable[int]) -> tuple[int, int]:
    """From which power of ten to which, in tenths of one."""
    found = list(places) or [0]
    return 10 * (min(found) // 10), 10 * (max(found) // 10 + 1)


def _axes(top: int, bottom: int, up: str, along: str, most: float) -> Iterator[str]:
    for tick in _ticks(most):
        y = bottom - (bottom - top) * tick / most
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
        yield _text(_LEFT - 6, y + 4, f"{tick:,g}" if tick < 100_000 else f"{tick:.0e}", anchor="end")
    yield f'<path d="M{_LEFT} {top}V{bottom}H{_RIGHT}" fill="none" stroke="#333"/>'
    yield f'<text transform="translate(18 {(top + bottom) // 2}) rotate(-90)" text-anchor="middle">{up}</text>'
    yield _text((_LEFT + _RIGHT) / 2, bottom + 36, along, anchor="middle")


def _tick_below(x: float, bottom: int, text: str) -> str:
    return f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}" stroke="#333"/>' + _text(
        x, bottom + 18, text, anchor="middle"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{text}</text>'


def nice(value: float) -> float:
    """The next 1, 2 or 5, or ten times, or a tenth of it, from the value up."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _top(most: float) -> float:
    """Of an axis: the first tick from it up."""
    step = nice(most / 6)
    return step * math.ceil(most / step - 1e-9)


def _ticks(most: float) -> list[float]:
    step = nice(most / 6)
    return [step * number for number in range(int(most / step + 1e-9) + 1)]
