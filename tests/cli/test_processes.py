"""Processes of their own, which may die, hang or be interrupted."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lightspeed.channel import FaultPlan
from lightspeed.cli.seeds import Asked, processes, without_interrupts

PLAYS = """
import os, sys, time

def dies(simulation):
    if simulation.seed == 60:
        os._exit(3)

def hangs(simulation):
    if simulation.seed:
        time.sleep(600)

def fails(simulation):
    if simulation.seed in (120, 7):
        raise AssertionError
"""

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", "simulate"]


@pytest.fixture
def plays(tmp_path):
    (tmp_path / "plays.py").write_text(PLAYS)
    return tmp_path / "plays.py"


def test_one_that_dies_is_told_of_with_the_seeds_that_it_had(plays):
    done = subprocess.run(
        [*COMMAND, f"{plays}:dies", "--jobs", "2"], capture_output=True, text=True, cwd=plays.parent, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "must not end its process, as it did, with status 3, with one of the seeds 50 to 99" in done.stderr


def test_what_they_play_comes_in_the_order_of_the_seeds_and_none_is_left_behind(plays):
    asked = Asked(f"{plays}:fails", "random", FaultPlan(), sweeps=False, bound=None, most=1)
    with processes(asked, range(130), 2) as parts:
        assert [(part.seeds, part.failed) for part in parts] == [(8, 7), (50, None), (21, 120)]
    with processes(Asked(f"{plays}:hangs", "random", FaultPlan(), sweeps=False, bound=0, most=1), range(9), 1) as parts:
        assert next(parts).seeds == 1


def test_ctrl_c_ends_them_all_and_is_told_by_none(plays):
    with subprocess.Popen(
        [*COMMAND, f"{plays}:hangs", "--jobs", "2"], stderr=subprocess.PIPE, cwd=plays.parent, start_new_session=True
    ) as process:
        until_s = time.monotonic() + 20
        while len(children_of(process.pid)) < 2 and time.monotonic() < until_s:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all
        assert (process.wait(timeout=20), process.stderr.read()) == (130, b"")
    assert children_of(process.pid) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl-C can't be put off")
def test_ctrl_c_while_one_starts_comes_when_it_has_started():
    started = []

    def start():
        with without_interrupts():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            started.append("one")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == ["one"]


def children_of(pid):
    """Those that were spawned to play."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            pass  # it has gone
    return found
