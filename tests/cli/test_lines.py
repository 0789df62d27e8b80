import pytest

from lightspeed.cli.lines import LineFile, OutputFailed


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
