"""What type checkers see: the tree, and mistakes in calls."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MISTAKES = ROOT / "tests" / "mistakes.py"
CHECKERS = {
    "mypy": ["mypy", "--strict", "--cache-dir", "/dev/null", "--no-incremental", str(MISTAKES)],
    "pyright": ["pyright", "--pythonpath", sys.executable, "--project", str(ROOT / "pyproject.toml"), str(MISTAKES)],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", ["mypy", pytest.param("pyright", marks=pytest.mark.long)])
def test_mistakes_in_calls_are_found_and_nothing_else(checker):
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed: it comes with the extra dev, and `make types` and CI have it")
    done = subprocess.run([sys.executable, "-m", *CHECKERS[checker]], cwd=ROOT, capture_output=True, text=True, check=False)
    found = {int(line) for line in re.findall(r"mistakes\.py:(\d+)(?::\d+)?(?: -|:) error", done.stdout)}
    lines = MISTAKES.read_text().splitlines()
    assert found == {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}, done.stdout + done.stderr
    assert len(found) == 24
