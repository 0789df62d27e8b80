"""docs/model.md says what is so: its program prints what it shows, and every option stands in a table."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lightspeed.channel import Backoff, Channel, Restarts

PAGE = (Path(__file__).parent.parent / "docs" / "model.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_processes_that_are_forked_or_spawned_have_a_channel_each(tmp_path):
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    (printed,) = re.findall(r"^```python\n.*?^```$.*?^```text\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)[:1]
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_every_option_stands_in_a_table():
    options = {*Channel.__init__.__kwdefaults__, *Restarts.__struct_fields__, *Backoff.__struct_fields__}
    assert [option for option in sorted(options) if f"\n| `{option}` |" not in PAGE] == []
