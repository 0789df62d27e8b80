"""docs/cluster.md says what is so: its programs print what stands below them, and every kind of fault stands in its table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lightspeed.faults.network import NETWORK_KINDS

PAGE = (Path(__file__).parent.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_each_program_prints_what_stands_below_it(program, output):
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", output)


def test_every_kind_of_fault_stands_in_the_table():
    rows = re.findall(r"^\| `(\w+)\(.*?\)` \| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert [(kind.__name__, name) for name, kind in NETWORK_KINDS.items()] == rows
