"""docs/supervision.md says what is so: its program prints what it shows, and the tests it names exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lightspeed.supervision import Backoff, ChildSpec, Supervisor

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "supervision.md").read_text(encoding="utf-8")


PROGRAMS = re.findall(r"^```python\n(.*?)^```\n\nprints\n\n```text\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_every_program_says_what_it_prints():
    assert len(PROGRAMS) == PAGE.count("```python\n") == 3


@pytest.mark.slow
@pytest.mark.parametrize(("program", "prints"), PROGRAMS, ids=["restart", "addresses", "tasks"])
def test_the_program_prints_what_is_shown(program, prints):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, prints), done.stderr


def test_the_tests_that_it_names_exist():
    named = set(re.findall(r"\btest_\w+", PAGE))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "supervision").glob("test_*.py")]
    there = set(re.findall(r"^(?:async )?def (test_\w+)", "\n".join(sources), flags=re.MULTILINE))
    assert len(named) > 60
    assert named - there == set()


def test_every_option_stands_in_a_table():
    options = {*Supervisor.__init__.__kwdefaults__, *Backoff.__struct_fields__, "kind", "shutdown_s", "significant"}
    assert options >= {*ChildSpec.__struct_fields__} - {"id", "start"}
    assert [option for option in sorted(options) if f"| `{option}`" not in PAGE and f", `{option}` |" not in PAGE] == []
