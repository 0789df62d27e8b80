import pytest
from model.random_scenario import random_scenario
from planted import double_reply

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import FaultPlan, Join
from lightspeed.faults import Raise
from lightspeed.testing import Case, play, recording, replay, search_drawn, write_recording
from lightspeed.testing.recording import Divergence, read_recording
from lightspeed.testing.trace import hash_of


def join_twice(simulation):
    channel = simulation.channel()
    for name in "ab":
        simulation.client(channel, name).join("x")
    simulation.run()


def test_what_was_recorded_is_played_again_to_the_letter(tmp_path):
    for seed in range(10):
        outcome = play(Case(random_scenario(seed), seed))
        write_recording(outcome, tmp_path / "trace")
        again = replay(tmp_path / "trace")
        assert again.divergence is None
        assert again.outcome.trace.hash == outcome.trace.hash


def test_a_failure_is_repeated_and_without_its_bug_goes_another_way(tmp_path):
    with double_reply():
        found = search_drawn(random_scenario)
        write_recording(found, tmp_path / "trace")
        again = replay(tmp_path / "trace")
        assert (again.divergence, str(again.outcome.error)) == (None, str(found.error))
    healed = replay(tmp_path / "trace")
    assert healed.outcome.error is None
    assert "it goes another way at line" in str(healed.divergence)


def test_a_play_is_found_by_its_name_or_given(tmp_path):
    plan = FaultPlan((Raise(at=1),))
    outcome = play(Case(join_twice, 3, skip=frozenset([1]), plan=plan))
    write_recording(outcome, tmp_path / "trace")
    assert replay(tmp_path / "trace", join_twice).divergence is None
    assert replay(tmp_path / "trace", lambda simulation: simulation.channel().tell(Join("c", "y", "u", 1))).divergence.line > 1


def test_an_altered_trace_differs_at_its_line(tmp_path):
    file = tmp_path / "trace"
    write_recording(play(Case(random_scenario(1), 1)), file)
    lines = file.read_text().splitlines()
    lines[5] = "run\tnobody\tnothing"
    file.write_text("\n".join(lines) + "\n")
    assert replay(file).divergence.line == 5
    file.write_text("\n".join(lines[:5]) + "\n")
    assert replay(file).divergence.recorded is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        b"\xff\xfe",
        b"[1]",
        b'{"lightspeed_trace":99,"version":"","hash":"","seed":0,"choices":[],"error":null}',
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, content):
    (tmp_path / "trace").write_bytes(content)
    with pytest.raises(InvalidOption, match="recording"):
        replay(tmp_path / "trace")


def odd_names(simulation):
    channel = simulation.channel()
    for name in ("a\nb", "c\rd", "e\x0bf", "g\x1ch", "i\x85j", "k\u2028l", "m\tn"):
        simulation.client(channel, name).push(name, name, name)
        simulation.client(channel, name).join(name)
    simulation.run()


def test_what_ends_a_line_elsewhere_ends_none_of_the_trace(tmp_path):
    outcome = play(Case(odd_names, 2))
    write_recording(outcome, tmp_path / "trace")
    header, lines = read_recording(tmp_path / "trace")
    assert replay(tmp_path / "trace", odd_names).divergence is None
    assert header.hash == hash_of(lines) == outcome.trace.hash
    assert hash_of(lines[:-1]) != header.hash


def test_an_error_that_no_file_can_hold_is_written_all_the_same(tmp_path):
    def scenario(simulation):
        raise ValueError("half of a \ud83d, and a \x00")

    write_recording(play(Case(scenario)), tmp_path / "trace", play_name="plays\udcff.py:scenario")
    header, lines = read_recording(tmp_path / "trace")
    assert (header.error, header.play, lines) == ("ValueError: half of a \\ud83d, and a \x00", "plays\\udcff.py:scenario", [])


def test_a_line_of_a_file_from_elsewhere_is_shown_without_what_a_terminal_would_obey():
    divergence = Divergence(3, "put\tx\x1b[2J", None)
    assert str(divergence).splitlines()[1:] == ["   recorded: put\tx\\x1b[2J", "  this time: nothing more"]


def test_a_file_without_an_end_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InvalidOption, match="its first line is longer than 16,777,216 bytes"):
        read_recording("/dev/zero")
    path = tmp_path / "x.trace"
    write_recording(play(Case(random_scenario(1, 5), 1)), path)
    monkeypatch.setattr(recording, "LARGEST", 10)
    with pytest.raises(InvalidOption, match="its trace is longer than 10 bytes"):
        read_recording(path)


@pytest.mark.parametrize("value", ["NaN", "1e400", "[" * 100_000, '"\\ud83d"', '"\\udfff', "9" * 400 + ".5e", '{"a":' * 5_000])
def test_a_recording_of_what_no_json_is_or_no_field_holds_is_refused(tmp_path, value):
    path = tmp_path / "x.trace"
    path.write_text(f'{{"lightspeed_trace":2,"version":"0","hash":"","seed":{value},"choices":[],"error":null}}\n')
    with pytest.raises(InvalidOption, match="must be a trace of a simulation"):
        read_recording(path)


def test_in_a_recording_the_last_of_equal_keys_counts(tmp_path):
    path = tmp_path / "x.trace"
    path.write_text('{"lightspeed_trace":2,"version":"0","hash":"","seed":"x","seed":7,"choices":[],"error":null}\na\n')
    header, lines = read_recording(path)
    assert (header.seed, lines) == (7, ["a"])
