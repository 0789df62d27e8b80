import gzip
import io

import pytest

from lightspeed.channel import InvalidTrace, Join, LightspeedError, Restart, encode, read_trace, trace
from lightspeed.channel.trace import read_batches

JOIN = Join("c", "t", "u", 1)


def test_a_trace_is_events_line_by_line_and_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"\n" + encode(JOIN) + b"\r\n  \n" + encode(Restart()))
    assert list(read_trace(path)) == [JOIN, Restart()]


def test_a_name_that_ends_in_gz_is_unpacked(tmp_path):
    path = tmp_path / "trace.jsonl.gz"
    path.write_bytes(gzip.compress(encode(JOIN) + b"\n") + gzip.compress(encode(Restart()) + b"\n"))
    assert list(read_trace(str(path))) == [JOIN, Restart()]


def test_an_empty_trace_has_no_events(tmp_path):
    for name, data in (("a", b""), ("b", b"\n\n"), ("c.gz", gzip.compress(b""))):
        (tmp_path / name).write_bytes(data)
        assert list(read_trace(tmp_path / name)) == []


def test_a_bad_line_is_named_and_the_events_before_it_are_given(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(encode(JOIN) + b"\n\n" + b'{"type":"leave","client_id":"c"}\n' + encode(JOIN))
    events = read_trace(path)
    assert next(events) == JOIN
    with pytest.raises(InvalidTrace) as caught:
        next(events)
    assert (caught.value.source, caught.value.line) == (str(path), 3)
    assert "topic must be given" in caught.value.reason
    assert isinstance(caught.value, LightspeedError)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"not gzip", lambda data: data[:40] + b"x" + data[41:]])
def test_a_damaged_gzip_is_the_projects_own_error(tmp_path, damage):
    path = tmp_path / "trace.jsonl.gz"
    path.write_bytes(damage(gzip.compress((encode(JOIN) + b"\n") * 1000)))
    with pytest.raises(InvalidTrace, match="damaged gzip"):
        list(read_trace(path))


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_trace(tmp_path / "none"))


def test_batches_hold_what_could_be_read_without_waiting():
    class Pipe(io.RawIOBase):
        """Gives what arrived, a piece at a time, wherever the pieces were cut."""

        def __init__(self):
            self.pieces = [encode(JOIN) + b"\n" + encode(JOIN)[:10], encode(JOIN)[10:], b"\n" + encode(Restart())]

        def read1(self, _size):
            return self.pieces.pop(0) if self.pieces else b""

    assert list(read_batches(Pipe(), name="pipe")) == [[JOIN], [JOIN], [Restart()]]


def test_a_reader_may_stop_at_any_event(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(encode(JOIN) + b"\n" + encode(JOIN) + b"\nbroken\n")
    events = read_trace(path)
    next(events)
    events.close()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_at_the_start_is_skipped_and_nowhere_else(pack):
    mark = b"\xef\xbb\xbf"
    for start in (mark, mark + b"\r\n"):
        data = pack(start + encode(JOIN) + b"\r\n")
        assert list(read_batches(io.BytesIO(data), name="x", gzipped=pack is gzip.compress)) == [[JOIN]]
    assert list(read_batches(io.BytesIO(mark), name="x")) == []
    with pytest.raises(InvalidTrace, match="x:2: "):
        list(read_batches(io.BytesIO(encode(JOIN) + b"\n" + mark + encode(JOIN)), name="x"))


class Endless(io.RawIOBase):
    """A stream that goes on and on in one line, byte by byte where it begins."""

    def __init__(self, start):
        self.rest, self.given = start, 0

    def read1(self, size):
        if self.rest:
            data, self.rest = self.rest[:1], self.rest[1:]
        else:
            data = b"x" * size
        self.given += len(data)
        return data


def test_a_line_without_an_end_is_refused_at_the_bound_after_what_stands_before_it(monkeypatch):
    monkeypatch.setattr(trace, "LONGEST_LINE", 100_000)
    stream = Endless(b"\xef\xbb\xbf" + encode(JOIN) + b"\n")
    batches = read_batches(stream, name="x\nFORGED")
    assert next(batches) == [JOIN]
    with pytest.raises(InvalidTrace, match=r"x\\nFORGED:2: line must have at most 100,000 bytes"):
        next(batches)
    assert stream.given < 150_000


def test_a_line_of_just_the_bound_is_read(monkeypatch):
    line = encode(JOIN)
    monkeypatch.setattr(trace, "LONGEST_LINE", len(line))
    assert list(read_batches(io.BytesIO(line + b"\n"), name="x")) == [[JOIN]]
    with pytest.raises(InvalidTrace, match="line must have at most"):
        list(read_batches(io.BytesIO(line + b" \n"), name="x"))
