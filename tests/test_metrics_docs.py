"""docs/metrics.md says what is so: its programs run, and every field, hook and family stands in a table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lightspeed.channel import ChannelMetrics
from lightspeed.metrics import Meter
from lightspeed.metrics.families import PrometheusHooks
from lightspeed.metrics.hooks import HOOKS

PAGE = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_each_program_runs(number):
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAMS[number]], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    if number == 0:
        assert done.stdout == "1 1 0 False\n"
    if number == 2:
        assert 'lightspeed_handled_seconds_count{event="join",pattern="room:*"} 1.0' in done.stdout


def test_every_field_stands_in_the_table_and_which_of_them_only_grow():
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \|(?: (yes) \|| \|)$", PAGE, flags=re.MULTILINE))
    assert tuple(rows) == ChannelMetrics.__struct_fields__


def test_every_hook_and_family_stands_in_a_table():
    assert [name for name in HOOKS if f"`{name}(" not in PAGE] == []
    families = [family.name for family in PrometheusHooks(Meter(), "lightspeed").describe()]
    assert len(families) == 8
    assert [name for name in families if f"`{name}`" not in PAGE and f"`{name}_total`" not in PAGE] == []
