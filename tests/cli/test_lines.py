import subprocess
import sys

import pytest

from lightspeed.cli.lines import LineFile, OutputFailed, printable, say


class FillingFile:
    """A file with room for so many bytes, that takes a few at a time."""

    def __init__(self, file, room):
        self.file, self.room = file, room
        self.fileno, self.tell, self.seekable = file.fileno, file.tell, file.seekable

    def write(self, data):
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        taken = self.file.write(data[: min(3, self.room)])
        self.room -= taken
        return taken


def test_lines_are_written_whole_however_little_is_taken_at_a_time(tmp_path):
    path = tmp_path / "out"
    with open(path, "wb", buffering=0) as file:
        LineFile(FillingFile(file, 100)).write([b"one", b"two", b"three"])
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_where_the_room_ends_half_a_line_is_taken_back(tmp_path):
    path = tmp_path / "out"
    with open(path, "wb", buffering=0) as file:
        lines = LineFile(FillingFile(file, 11))
        lines.write([b"one", b"two"])
        with pytest.raises(OutputFailed, match="No space left"):
            lines.write([b"three"])
    assert path.read_bytes() == b"one\ntwo\n"


def test_nothing_to_write_writes_nothing(tmp_path):
    with open(tmp_path / "out", "wb", buffering=0) as file:
        LineFile(file).write([])
    assert (tmp_path / "out").read_bytes() == b""


def test_what_a_terminal_would_obey_is_spelt_out():
    assert printable("é\n\x1b[31m\t\ud800\x00\u202e") == "é\n\\x1b[31m\\t\\ud800\\x00\\u202e"


def test_what_is_said_is_printed_in_utf_8_whatever_its_letters(capsysbinary):
    assert say("é", "\ud800")
    assert capsysbinary.readouterr().out == "é\n\\ud800\n".encode()


SAY = "import sys; from lightspeed.cli.lines import say; sys.exit(0 if say('a', 'b') else 1)"


def test_who_has_seen_enough_may_leave_and_a_full_disk_is_told():
    with subprocess.Popen([sys.executable, "-c", SAY], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.wait(timeout=20), process.stderr.read()) == (0, b"")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", SAY], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"lightspeed: cannot write standard output: No space left on device\n")
