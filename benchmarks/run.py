"""Measure channels and pooled actors beside their rivals: `python benchmarks/run.py`."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import chart
import msgspec
from catalog import COMPARISONS, NAMES
from comparison import Comparison, shrunk
from pairs import Finding, compare
from report import report, version_of
from sample import take
from table import markdown

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

_EPILOG = """\
Each sample runs in a fresh process, in pairs: ours, the rival, ours, the rival. The ratio is the median of the pairs' ratios.
Peers come with `pip install '.[bench]'`; one that is not installed is left out, and the output says so.

Exit status: 0 all of ours was measured; 1 something of ours failed; 2 the command line was bad; 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments (None: the process's own) ask for, and return the exit status."""
    options = _options(arguments)
    if options.list:
        print("\n".join(NAMES))
        return 0
    try:
        return _run(options)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    started_s = time.monotonic()
    chosen = [comparison for comparison in COMPARISONS if comparison.name in (options.only or NAMES)]
    findings: list[Finding] = []
    for number, comparison in enumerate(chosen, start=1):
        if all(version_of(package) is not None for package in comparison.needs):
            findings += _compare(comparison, options, f"[{number}/{len(chosen)}]")
    found = report(chosen, findings, quick=options.quick, seconds=time.monotonic() - started_s)
    print(markdown(found), flush=True)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if options.chart:
        chart.draw(findings, str(options.chart))
    return 1 if any(finding.ours.error for finding in findings) else 0


def _compare(comparison: Comparison, options: argparse.Namespace, place: str) -> list[Finding]:
    pairs = min(options.pairs, comparison.most_pairs or options.pairs)
    return compare(
        shrunk(comparison) if options.quick else comparison,
        pairs,
        take,
        say=lambda line: print(f"{place} {line}", file=sys.stderr, flush=True),
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py",
        description="Measure channels and pooled actors beside their rivals, in one run, and print a table.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"measure only these: {', '.join(NAMES)}")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument(
        "--pairs", type=_count, default=5, metavar="N", help="pairs of samples for each ratio, from 1 up (default: 5)"
    )
    parser.add_argument("--quick", action="store_true", help="a thousandth of the sizes: shows that all works, measures nothing")
    parser.add_argument("--json", type=_writable, metavar="FILE", help="write all samples there; an existing file is replaced")
    parser.add_argument("--chart", type=_writable, metavar="FILE.svg", help="draw cost against size there, with matplotlib")
    options = parser.parse_args(arguments)
    if options.chart:
        missing = [name for name in chart.NEEDS if name not in (options.only or NAMES)]
        if missing:
            parser.error(f"--chart draws {', '.join(missing)}: name them in --only too")
        if find_spec("matplotlib") is None:
            parser.error("--chart needs matplotlib: pip install '.[bench]'")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up, got {text!r}")
    return int(text)


def _writable(text: str) -> Path:
    """Known at the start, and not after all has been measured."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"can't be written: {text!r}")
    return path


if __name__ == "__main__":
    sys.exit(main())
