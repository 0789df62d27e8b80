"""The demo of healing, by a script and on a terminal of its own."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAL = "examples/heal.py"
WITHOUT_RICH = (
    "import runpy, sys; sys.modules['rich'] = None; sys.argv[0] = 'heal.py'; sys.path.insert(0, 'examples');"
    f"runpy.run_path('{HEAL}', run_name='__main__')"
)

MAIN_SCREEN, SHOW_CURSOR = b"\x1b[?1049l", b"\x1b[?25h"

pytestmark = pytest.mark.slow  # each test starts an interpreter

OTHERS = """\
|- room:2 [running] topic, incarnation 2, 1 member
|- room:3 [running] topic, incarnation 3, 1 member
|- room:4 [running] topic, incarnation 4, 1 member
`- room:5 [running] topic, incarnation 5, 1 member
"""

HEALED = f"""\
single_node [running] supervisor
|- room:1 [running] topic, incarnation 1, 1 member
{OTHERS}
key 1
single_node [running] supervisor
|- room:1 [restarting] topic, incarnation 6, 1 member, 1 restart
{OTHERS}
a second later
single_node [running] supervisor
|- room:1 [running] topic, incarnation 6, 1 member, 1 restart
{OTHERS}"""


def run(*arguments):
    command = [sys.executable, "-X", "utf8", "-W", "error", *arguments]
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=30, check=False
    )


def play(script):
    """What the script prints: one list of lines for each tree."""
    done = run(HEAL, "--script", script)
    assert (done.returncode, done.stderr) == (0, "")
    return [block.splitlines() for block in done.stdout.split("\n\n")]


def phases(block):
    return [line.split("[")[1].split("]")[0] for line in block if "[" in line]


class Terminal:
    """A terminal with the demo on it."""

    def __init__(self, *arguments):
        self._ours, self._its = pty.openpty()
        termios.tcsetwinsize(self._its, (24, 100))
        self._before = termios.tcgetattr(self._its)
        self._seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-W", "error", *arguments],
            cwd=ROOT,
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_exc_info):
        self.process.kill()
        self.process.wait(20)
        os.close(self._ours)
        os.close(self._its)

    def type(self, keys):
        os.write(self._ours, keys.encode())

    def wait_for(self, words):
        """Until it has painted these, since what was waited for before."""
        deadline_s = time.monotonic() + 20
        while words.encode() not in self._seen:
            assert self._has_painted(max(0.0, deadline_s - time.monotonic())), self._seen
            self._seen += os.read(self._ours, 65_536)
        self._seen = self._seen.split(words.encode(), 1)[1]

    def end(self):
        """The exit status, once it has ended. What it still paints is taken in: it might wait for that."""
        while self.process.poll() is None or self._has_painted(0):
            if self._has_painted(0.05):
                self._seen += os.read(self._ours, 65_536)
        return self.process.returncode

    def _has_painted(self, timeout_s):
        return bool(select.select([self._ours], [], [], timeout_s)[0])

    @property
    def is_as_before(self):
        return termios.tcgetattr(self._its) == self._before

    @property
    def screen_is_left(self):
        return MAIN_SCREEN in self._seen and SHOW_CURSOR in self._seen


def test_a_room_fails_and_is_healed_a_second_later():
    done = run(HEAL, "--script", "1 .")
    assert (done.returncode, done.stdout, done.stderr) == (0, HEALED, "")


def test_a_script_comes_from_a_file_as_well(tmp_path):
    (tmp_path / "keys").write_text("1\n.\nq2\n")
    done = run(HEAL, "--script", str(tmp_path / "keys"))
    assert (done.returncode, done.stdout) == (0, HEALED)


def test_a_room_that_is_put_off_does_not_fail_again():
    assert play("11")[1][1:] == play("11")[2][1:]


def test_a_room_waits_longer_each_time_and_is_given_up_at_last():
    first = [phases(block)[1] for block in play("1. 1.. 1.... 1. r 1.")]
    assert first == [
        *("running", "restarting", "running"),
        *("restarting", "restarting", "running"),
        *("restarting", "restarting", "restarting", "restarting", "running"),
        *("given_up", "given_up", "running", "restarting", "running"),
    ]


def test_the_channel_crashes_and_all_comes_up_with_it():
    before, crashed, later, restarted = play("c.r")
    assert phases(before) == phases(restarted) == ["running"] * 6
    assert phases(crashed) == phases(later) == ["crashed", "down", "down", "down", "down", "down"]
    assert sum("1 member" in line for line in restarted) == 5


def test_a_script_ends_with_its_last_key_or_a_q():
    assert len(play("")) == len(play("q12")) == 1


@pytest.mark.parametrize("script", ["1 x.", "no/such/file", "7"])
def test_a_script_of_other_keys_is_refused(script):
    done = run(HEAL, "--script", script)
    assert (done.returncode, done.stdout) == (2, "")
    assert "neither a file nor keys" in done.stderr


def test_without_a_terminal_it_says_what_is_wrong():
    done = run(HEAL)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no terminal" in done.stderr
    assert "--script" in done.stderr


def test_help_names_the_keys_and_the_extra():
    words = " ".join(run(HEAL, "--help").stdout.split())
    assert "1 to 5, that room fails; c, the channel crashes" in words
    assert "pip install '.[demo]'" in words
    assert "demo" in metadata("lightspeed-channels").get_all("Provides-Extra")


def test_a_script_needs_no_rich():
    done = run("-c", WITHOUT_RICH, "--script", "1.")
    assert (done.returncode, done.stdout, done.stderr) == (0, HEALED, "")


def test_the_live_view_says_that_rich_is_missing_and_which_extra_has_it():
    with Terminal("-c", WITHOUT_RICH) as terminal:
        terminal.wait_for("rich comes with the extra: pip install '.[demo]'")
        assert terminal.end() == 2
        assert terminal.is_as_before


def test_keys_count_at_once_and_q_leaves_the_terminal_as_it_was():
    with Terminal(HEAL) as terminal:
        terminal.wait_for("room:5")
        assert not terminal.is_as_before
        terminal.type("x12")
        terminal.wait_for("[restarting]")
        terminal.wait_for("incarnation 7, 1 member, 1 restart")
        terminal.type("c")
        terminal.wait_for("[down]")
        terminal.type("r")
        terminal.wait_for("incarnation 12")
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.is_as_before
        assert terminal.screen_is_left


def test_ctrl_c_leaves_the_terminal_as_it_was():
    with Terminal(HEAL) as terminal:
        terminal.wait_for("room:5")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        assert terminal.is_as_before
        assert terminal.screen_is_left


# As a shell: it stops the demo as Ctrl-Z does, says when it is stopped, and has it go on.
SHELL = f"""
import os, signal, subprocess, sys
demo = subprocess.Popen([sys.executable, "{HEAL}"], process_group=0)
# They are taken, and not handled: a signal that came just before `waitpid` would be handled behind it.
signals = {{signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD}}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
while True:
    taken = signal.sigwait(signals)
    if taken != signal.SIGCHLD:
        os.kill(demo.pid, signal.SIGTSTP if taken == signal.SIGUSR1 else signal.SIGCONT)
        continue
    pid, status = os.waitpid(demo.pid, os.WUNTRACED | os.WNOHANG)
    if pid and os.WIFSTOPPED(status):
        print("it is stopped", flush=True)
    elif pid:
        sys.exit(os.WEXITSTATUS(status))
"""


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on():
    with Terminal("-c", SHELL) as terminal:
        for key in "12":  # and so a second time
            terminal.wait_for("room:5")
            terminal.process.send_signal(signal.SIGUSR1)
            terminal.wait_for(MAIN_SCREEN.decode())
            terminal.wait_for("it is stopped")
            assert terminal.is_as_before
            terminal.process.send_signal(signal.SIGUSR2)
            terminal.wait_for("room:5")
            assert not terminal.is_as_before
            terminal.type(key)
            terminal.wait_for("[restarting]")
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.is_as_before
