"""All that a run of the benchmarks found, and on what machine. It goes into JSON as it is."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from comparison import Comparison
from msgspec import Struct
from pairs import Finding


class Report(Struct, frozen=True):
    quick: bool
    """Tiny sizes: no measurement."""
    python: str
    cores: int
    system: str
    versions: dict[str, str]
    """Of Pykka, of the peers that were compared with, and of what else was needed."""
    left_out: tuple[str, ...]
    """Of these, what is not installed."""
    seconds: float
    """How long it took."""
    findings: tuple[Finding, ...]


def report(comparisons: list[Comparison], findings: list[Finding], *, quick: bool, seconds: float) -> Report:
    needed = list(dict.fromkeys(package for comparison in comparisons for package in comparison.needs))
    versions = {name: version_of(name) for name in ("pykka", *needed)}
    return Report(
        quick=quick,
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        versions={name: version for name, version in versions.items() if version is not None},
        left_out=tuple(name for name, version in versions.items() if version is None),
        seconds=seconds,
        findings=tuple(findings),
    )


def version_of(package: str) -> str | None:
    """None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
