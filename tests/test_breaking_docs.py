"""What the guide and the tutorial show is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE, TUTORIAL = (ROOT / "docs" / name for name in ("breaking.md", "tutorial.md"))
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("number", "printed"), [(0, "('bob', 'ann') (1,)\n"), (1, ""), (2, "None\n" * 4)])
def test_each_snippet_of_the_guide_runs_and_prints_what_it_says(number, printed):
    done = subprocess.run([sys.executable, "-c", SNIPPETS[number]], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == printed


def test_the_guide_has_no_snippet_that_is_not_run():
    assert len(SNIPPETS) == 3


def lightspeed(*arguments):
    command = [sys.executable, "-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_tutorials_bug_is_found_and_cut_down_and_its_test_fails(tmp_path):
    trace, test = tmp_path / "trace", tmp_path / "test_auction.py"
    found = lightspeed("simulate", "examples/auction.py:auction", "--trace", str(trace), "--test", str(test))
    assert found.returncode == 1
    assert found.stdout.replace(str(trace), "lightspeed-0.trace") in TUTORIAL.read_text()
    for line in ("find('examples/auction.py:auction')", "choices=()", "skip=frozenset([6, 7, 8, 9, 10, 11, 12, 13, 14])"):
        assert line in test.read_text()
        assert line in TUTORIAL.read_text()
    assert lightspeed("replay", str(trace)).returncode == 0
    (pattern,) = re.findall('^grep "(.*)" lightspeed-0.trace$', TUTORIAL.read_text(), re.M)
    bids = [line.rpartition('"payload":')[2] for line in trace.read_text().splitlines() if re.search(pattern, line)]
    assert bids == ['"3"}', '"lots"}', '"3"}']
    arguments = ["-q", "-c", os.devnull, "--rootdir", str(ROOT), str(test)]
    done = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "InvariantBroken: bids_rise" in done.stdout


def test_the_mended_auction_fails_with_no_seed():
    done = lightspeed("simulate", "examples/auction.py:kept_auction", "--seeds", "200")
    assert (done.returncode, "nothing failed" in done.stdout) == (0, True)


def test_the_example_says_both():
    done = subprocess.run([sys.executable, "examples/auction.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["auction", "kept_auction"]
    assert "kept_auction: nothing failed" in done.stdout
