"""docs/embedding.md says what is so: each of its steps prints what stands below it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")

STEPS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_each_step_prints_what_stands_below_it():
    program = "\nprint(end='\\f', flush=True)\n".join(code for code, _printed in STEPS)
    command = [sys.executable, "-X", "utf8", "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\f") == [printed for _code, printed in STEPS]


def test_the_steps_are_ten_and_in_order():
    assert re.findall(r"^## (\d+)\. ", PAGE, flags=re.MULTILINE) == [str(number) for number in range(1, 11)]


def test_every_program_says_what_it_prints():
    assert len(STEPS) == PAGE.count("```python\n") > 10
