"""`lightspeed capsule`, as its user runs it: written by one process, read and replayed by others."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightspeed.capsules import file as capsule_file
from lightspeed.cli.main import main

COMMAND = [sys.executable, "-c", "import sys; from lightspeed.cli.main import main; sys.exit(main())", "capsule"]
pytestmark = pytest.mark.slow  # each starts a Python

OF_LAMBDA = """
import sys
from lightspeed.channel import *

def make():
    seen = []
    class Room(Behaviour):
        def on_push(self, room, client_id, event, payload):
            print("handled", payload)
            seen.append(payload)
            if len(seen) == 4:
                raise LookupError(f"{seen[-1]} after {len(seen) - 1}")
    return lambda: Room()

with Channel(behaviours={"room:*": make()}, capsules=Capsules(sys.argv[1], every=2)) as channel:
    channel.handle(Join("a", "room:1", "u", 1))
    for word in ("one", "two", "three", "four"):
        channel.handle(Push("a", "room:1", "e", word))
"""

OF_MAIN = """
import sys
from lightspeed.channel import *
LIMIT = 2

class Room(Behaviour):
    def on_join(self, room, client_id, user_id):
        if len(room.members) > LIMIT:
            raise OverflowError(room.members)

with Channel(behaviours={"room:*": lambda: Room()}, capsules=Capsules(sys.argv[1])) as channel:
    for client_id in "abc":
        channel.handle(Join(client_id, "room:1", "u", 1))
"""

OF_MODULE = """
import sys
sys.path.insert(0, sys.argv[2])
from lightspeed.channel import *
from nowhere_else import Room

with Channel(behaviours={"room:*": Room}, capsules=Capsules(sys.argv[1], every=1)) as channel:
    channel.handle(Join("a", "room:1", "u", 1))
    channel.handle(Push("a", "room:1", "e", "7"))
    channel.handle(Push("a", "room:1", "e", "seven"))
"""

MODULE = """
import dataclasses, threading
from lightspeed.channel import Behaviour

class Odd(Exception):
    pass

@dataclasses.dataclass
class Sum:
    value: int = 0

def parse(text):
    if not text.isdigit():
        raise Odd(text)
    return int(text)

class Room(Behaviour):
    def __init__(self):
        self.sum, self.lock, self.thread = Sum(), threading.Lock(), threading.main_thread()
    def on_push(self, room, client_id, event, payload):
        self.sum.value += parse(payload)
"""

RAISES = """
import sys
from lightspeed.channel import *
class Room(Behaviour):
    {body}
with Channel(behaviours={{"*": lambda: Room()}}, capsules=Capsules(sys.argv[1], every=1)) as channel:
    channel.handle(Join("a", "x", "u", 1))
    channel.handle(Push("a", "x", "e", "p"))
"""


@pytest.fixture(scope="module")
def ever_written(tmp_path_factory):
    """Have a program fail in a process of its own, once for all tests; the capsule that it left."""

    @cache
    def ever_written(program, key):
        here = tmp_path_factory.mktemp("program")
        folder, only_there = here / "capsules", here / "only_there"
        only_there.mkdir()
        (only_there / "nowhere_else.py").write_text(MODULE)
        command = [sys.executable, "-c", program, str(folder), str(only_there)]
        environment = {**os.environ, capsule_file.KEY: key}
        subprocess.run(command, env=environment, timeout=30, check=True, capture_output=True)
        (path,) = folder.glob("*.capsule")
        return path

    return ever_written


@pytest.fixture
def written(tmp_path, ever_written):
    """A copy of the test's own."""

    def written(program, key="k"):
        return Path(shutil.copy(ever_written(program, key), tmp_path))

    return written


@pytest.fixture
def run(monkeypatch, capfd):
    """The command in this process, which runs nothing of a capsule: a replay starts one of its own."""

    def run(*arguments, key="k"):
        monkeypatch.setenv(capsule_file.KEY, key)
        try:
            status = main(["capsule", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return SimpleNamespace(returncode=status, **capfd.readouterr()._asdict())

    return run


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (OF_LAMBDA, "LookupError: four after 3"),
        (OF_MAIN, "OverflowError: ('a', 'b', 'c')"),
        (OF_MODULE, "nowhere_else.Odd: seven"),
    ],
    ids=["lambda", "main", "module"],
)
def test_a_capsule_written_in_one_process_fails_in_the_same_way_in_another(written, run, monkeypatch, tmp_path, program, what):
    monkeypatch.chdir(tmp_path)
    path = written(program)
    done = run("replay", path)
    assert done.returncode == 0, done
    assert what in done.out
    assert "the same failure as in topic room:1" in done.out.splitlines()[-1]


def test_what_the_code_prints_is_no_answer_and_goes_to_standard_error(written):
    command, environment = [*COMMAND, "replay", str(written(OF_LAMBDA))], {**os.environ, capsule_file.KEY: "k"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=environment)
    assert "handled four" in done.stderr
    assert "handled" not in done.stdout.replace('print("handled", payload)', "")


@pytest.mark.parametrize(
    ("key", "why"),
    [("", "is not set"), ("other", "another key"), (None, "it was altered")],
    ids=["no key", "other key", "altered"],
)
def test_one_that_nobody_vouches_for_is_refused_unless_told_otherwise(written, run, key, why):
    path = written(OF_LAMBDA)
    if key is None:
        path.write_bytes(path.read_bytes().replace(b'"topic":"room:1"', b'"topic":"room:2"'))
    done = run("replay", path, key=key or ("" if key == "" else "k"))
    assert (done.returncode, done.out, done.err.count("\n")) == (2, "", 1)
    assert why in done.err
    done = run("replay", "--run-untrusted-code", path, key=key or "")
    assert done.returncode == 0


def test_an_unsigned_one_runs_nothing_until_it_is_told_to(written, run):
    path = written(OF_LAMBDA, key="")
    done = run("replay", path)
    assert (done.returncode, done.out) == (2, "")
    assert "it is not signed" in done.err
    assert "handled" not in done.err
    assert run("replay", path, "--run-untrusted-code").returncode == 0


def test_show_says_what_is_in_it_and_runs_nothing(written, run):
    path = written(OF_MODULE)
    done = run("show", path)
    assert (done.returncode, done.err) == (0, "")
    for words in (
        "topic       room:1",
        "nowhere_else.Room",
        "Odd: seven",
        "signed      yes, with the key",
        "Room.thread: threading._MainThread",
    ):
        assert words in done.out, done.out
    assert "signed      yes; not checked" in run("show", path, key="").out
    as_json = run("show", path, "--json").out
    assert as_json.encode() == path.read_bytes().splitlines(keepends=True)[0]
    assert json.loads(as_json)["failure"]["type"] == "nowhere_else.Odd"


def test_show_writes_nothing_that_a_terminal_would_obey(written, run):
    path = written(RAISES.format(body="def on_push(self, *_): raise ValueError('\\x1b[2J\\x9b')"))
    done = run("show", path)
    assert "\\x1b[2J\\x9b" in done.out
    assert not {"\x1b", "\x9b"} & set(done.out)


def test_what_stands_in_a_capsule_forges_no_line_of_ours(written, run):
    body = "def on_push(self, *_): raise ValueError('bad\\nsigned      yes, with the key')"
    path = written(RAISES.format(body=body), key="")
    path.write_bytes(path.read_bytes().replace(b'"topic":"x"', b'"topic":"x\\nsigned      yes"'))
    shown = run("show", path).out
    assert [line for line in shown.split("\n\n")[0].splitlines() if line.startswith("signed")] == ["signed      no"]
    done = run("replay", path, "--run-untrusted-code")
    assert done.out.splitlines()[-1].startswith("the same failure as in topic x\\nsigned      yes, on push")


def test_another_exception_is_told_and_gives_status_one(written, run):
    done = run("replay", written(RAISES.format(body="def on_push(self, *_): import os; raise ValueError(os.getpid())")))
    assert done.returncode == 1
    assert "not the same: at step 1 of 1 (push) it was builtins.ValueError" in done.out


# In the replay, whose command line has no directory of capsules.
IN_REPLAY = """def on_push(self, *_):
        import os, sys, time
        if len(sys.argv) < 3:
            {}
        raise ValueError("first")"""


@pytest.mark.parametrize(
    ("code", "timeout_s", "words"),
    [
        ("return", "20", "it raised nothing in 1 steps; then it was builtins.ValueError: first"),
        ("sys.exit(3)", "20", "at step 1 of 1 (push) it was builtins.SystemExit: 3"),
        ("os._exit(3)", "20", "the process ended by itself, with status 3"),
        ("time.sleep(60)", "0.5", "it did not end within 0.5 s"),
    ],
)
def test_no_exception_or_another_end_is_told_and_gives_status_one(written, run, code, timeout_s, words):
    done = run("replay", "--timeout", timeout_s, written(RAISES.format(body=IN_REPLAY.format(code))))
    assert done.returncode == 1
    assert words in done.out


def test_a_replay_that_uses_a_token_says_which(written, run):
    body = """def __init__(self):
        import socket, threading
        self.lock, self.socket = threading.Lock(), socket.socket()
    def on_push(self, *_):
        with self.lock:
            self.socket.close()
        raise ValueError("held")"""
    done = run("replay", written(RAISES.format(body=body)))
    assert done.returncode == 1
    assert "TokenUsed: the replay used what is not in the capsule: Room.socket: socket.socket" in done.out
    assert "  not in the capsule: Room.socket: socket.socket" in done.out


def test_one_of_another_python_is_refused(written, run):
    path = written(OF_LAMBDA, key="")
    here = f'"python":"{sys.version.split()[0]}"'.encode()
    path.write_bytes(path.read_bytes().replace(here, b'"python":"3.1.4"'))
    done = run("replay", path, "--run-untrusted-code")
    assert (done.returncode, done.out) == (2, "")
    assert "it was written by Python 3.1.4" in done.err


@pytest.mark.parametrize("command", ["show", "replay"])
def test_what_is_no_capsule_is_refused_in_one_line(tmp_path, run, command):
    empty, binary, good = tmp_path / "empty", tmp_path / "binary", tmp_path / "unreadable\n"
    empty.touch()
    binary.write_bytes(bytes(range(256)) * 100)
    good.write_bytes(b'{"format":"lightspeed capsule","version":2}')
    for path in (tmp_path / "none", tmp_path, empty, binary, good):
        done = run(command, path)
        assert (done.returncode, done.out, done.err[:12]) == (2, "", "lightspeed: ")


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--timeout", "nan"], ["--colour"]])
def test_a_wrong_command_line_is_refused_with_status_two(tmp_path, run, arguments):
    assert run("replay", *arguments, tmp_path / "none").returncode == 2


def test_the_help_says_what_the_flag_risks(run):
    words = " ".join(run("replay", "--help").out.split())
    assert "--run-untrusted-code replay it though nobody vouches for it" in words
    assert "Exit status: 0 the same exception came" in words
