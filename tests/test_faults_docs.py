"""docs/faults.md says what is so: its program runs, its JSON is that plan, and every kind and trigger stands in a table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lightspeed.channel import FaultPlan
from lightspeed.faults import Raise, Slow
from lightspeed.faults.fault import KINDS, Fault

PAGE = (Path(__file__).parent.parent / "docs" / "faults.md").read_text(encoding="utf-8")


def block(language):
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return found


@pytest.mark.slow
def test_the_program_prints_what_is_said():
    done = subprocess.run([sys.executable, "-c", block("python")], capture_output=True, encoding="utf-8", timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "(1, 1)\n"), done.stderr
    assert "prints `(1, 1)`" in PAGE


def test_the_json_is_the_same_plan():
    plan = FaultPlan((Raise(at=2), Slow(0.01, match={"type": "push"})), seed=7)
    assert FaultPlan.from_json(block("json")) == plan
    assert plan.to_json().decode() == block("json").strip()


def test_every_kind_and_every_trigger_stands_in_a_table():
    assert [tag for tag, kind in KINDS.items() if not re.search(rf"\| `{kind.__name__}\(.*\)` \| `{tag}` \|", PAGE)] == []
    assert [trigger for trigger in Fault.__struct_fields__ if f"\n| `{trigger}` |" not in PAGE] == []
