import os
import stat

import pytest

from lightspeed.actors.errors import CapsuleRefused, InvalidCapsule
from lightspeed.capsules import file as capsule_file
from lightspeed.capsules.capsule import LARGEST_HEADER, Failure, Header, Sizes

BODY = b"statesteps!waiting"


def header(**changes):
    fields = {"library": "1", "python": "3.11.7", "time": "now", "topic": "t", "incarnation": 1, "behaviour": None}
    fields |= {"handled": 3, "since": 2, "waiting": 1, "failed_on": "push", "failure": Failure("ValueError", "planted")}
    fields |= {"snapshot": "start", "sizes": Sizes(5, 6, 7), "signed": False}
    return Header(**(fields | changes))


def content_of(key=None, **changes):
    return capsule_file.encode(header(signed=key is not None, key_id=capsule_file.key_id(key), **changes), BODY, key)


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Write a content into a file, and have the environment hold a key."""

    def put(content, key="k"):
        monkeypatch.setenv(capsule_file.KEY, key)
        path = tmp_path / "a.capsule"
        path.write_bytes(content)
        return str(path)

    return put


def test_what_is_written_is_read_and_vouched_for(put):
    capsule = capsule_file.read(put(content_of(b"k")))
    assert capsule.header == header(signed=True, key_id=capsule_file.key_id(b"k"))
    assert (capsule.state, capsule.steps, capsule.body) == (b"state", b"steps!", BODY)
    assert capsule.signature == "good"
    capsule.check_signature()


@pytest.mark.parametrize(
    ("content", "key", "why"),
    [
        (content_of(), "k", "not signed"),
        (content_of(), "", "not signed"),
        (content_of(b"k"), "", "is not set"),
        (content_of(b"other"), "k", "another key"),
        (content_of(b"k").replace(b"planted", b"pranked"), "k", "altered"),
        (content_of(b"k").replace(b"steps!", b"steps?"), "k", "altered"),
        (content_of(b"k")[:-1] + b"\0", "k", "altered"),
        (content_of(b"k").replace(b'"topic":"t"', b'"topic" :"t"'), "k", "altered"),
    ],
)
def test_what_nobody_vouches_for_is_refused_and_said_why(put, content, key, why):
    capsule = capsule_file.read(put(content, key))
    with pytest.raises(CapsuleRefused, match=why):
        capsule.check_signature()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\x80\x05\x95random\nbinary", "does not begin with a header"),
        (b"[" * 100_000 + b"\n", "does not begin with a header"),
        (b'{"format":"other"}\n', "does not begin with a header"),
        (b"[]\n", "does not begin with a header"),
        (b'{"format":"lightspeed capsule","version":1}\n', "a capsule of version 1"),
        (b'{"format":"lightspeed capsule","version":3}\n', "its header is not whole"),
        (content_of(sizes=Sizes(-5, 6, 17)), "below 0"),
        (content_of().splitlines()[0], "ends in its header"),
        (content_of().splitlines()[0] + b"\n", "cut short: 18 bytes should follow"),
        (content_of()[:-1], "cut short"),
        (content_of(b"k")[:-1], "cut short: 50 bytes should follow its header, and 49 do"),
        (content_of(b"k")[:-32], "cut short"),
        (content_of() + b"x", "altered: 18 bytes should follow its header, and 19 do"),
        (b"x" * (LARGEST_HEADER + 2), "longer than"),
    ],
)
def test_what_is_no_whole_capsule_is_refused_with_the_reason(put, content, why):
    with pytest.raises(InvalidCapsule, match=why):
        capsule_file.read(put(content))


def test_a_missing_file_and_a_directory_are_the_systems_errors(tmp_path):
    for path, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error):
            capsule_file.read(str(path))


def test_a_header_stays_below_what_a_reader_takes_for_one():
    long = "\udcff\n" * 3_000_000
    failure = Failure(long, long, long)
    big = header(topic=long, behaviour=long, failure=failure, tokens=(long,) * 3, redactions=("x",) * 100_000, snapshot=long)
    line = capsule_file.encode(big, b"", None)
    assert len(line) < LARGEST_HEADER
    assert "more)" in big.topic


def test_a_file_is_its_owners_alone_and_whole_or_not_there(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    path = capsule_file.write(folder, "x.capsule", b"content")
    assert path.read_bytes() == b"content"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)

    def full(_fd):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        capsule_file.write(folder, "y.capsule", b"content")
    assert os.listdir(folder) == ["x.capsule"]


def test_the_oldest_capsules_go_and_nothing_else(tmp_path):
    names = [f"2026010{day}T000000000000Z-t-1-1-1.capsule" for day in (3, 1, 2)]
    for name in (*names, "mine.capsule", "20260101.txt"):
        (tmp_path / name).touch()
    capsule_file.prune(tmp_path, 2)
    assert sorted(os.listdir(tmp_path)) == ["20260101.txt", names[2], names[0], "mine.capsule"]
