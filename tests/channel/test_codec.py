import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import events

from lightspeed.channel import (
    BroadcastMessage,
    Crash,
    Diff,
    Entry,
    InvalidEvent,
    Join,
    Meta,
    PresenceDiff,
    Push,
    Reply,
    Restart,
    decode_event,
    encode,
)


def test_type_stands_first_and_the_fields_follow_without_spaces():
    join = b'{"type":"join","client_id":"c1","topic":"room:1","user_id":"alice","now_ms":1}'
    assert encode(Join("c1", "room:1", "alice", 1)) == join
    assert encode(Restart()) == b'{"type":"restart"}'
    assert encode(Restart("t")) == b'{"type":"restart","topic":"t"}'
    assert encode(Crash("r", "t")) == b'{"type":"crash","reason":"r","topic":"t"}'
    diff = Diff("t", (Entry("alice", (Meta("c1:1", 1),)),))
    assert encode(PresenceDiff("t", diff)) == (
        b'{"type":"presence_diff","topic":"t","diff":{"topic":"t",'
        b'"joins":[{"key":"alice","metas":[{"ref":"c1:1","online_at_ms":1}]}],"leaves":[]}}'
    )
    assert encode(diff.joins[0]) == b'{"key":"alice","metas":[{"ref":"c1:1","online_at_ms":1}]}'
    assert encode(BroadcastMessage("t", "p", ("a", "b"))).endswith(b'"recipients":["a","b"]}')


def test_nothing_is_escaped_that_json_does_not_require():
    assert encode(Crash('é😀/\x7f\u2028"\\\n\x01')).decode() == '{"type":"crash","reason":"é😀/\x7f\u2028\\"\\\\\\n\\u0001"}'


@given(events)
def test_an_event_survives_its_encoding_with_its_keys_in_any_order(event):
    assert decode_event(encode(event)) == event
    backwards = dict(reversed(json.loads(encode(event)).items()))
    assert decode_event(json.dumps(backwards)) == event


@given(st.integers(0, 2**200))
def test_times_of_any_size_survive(now_ms):
    event = Join("c", "t", "u", now_ms)
    assert decode_event(encode(event)) == event


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"", "line"),
        (b"{", "line"),
        (b'{"type":"restart"} x', "line"),
        (b"[]", "line"),
        (b"null", "line"),
        (b'"join"', "line"),
        (b"[" * 100_000, "line"),
        (b'{"a":' * 100_000, "line"),
        (b'{"type":"crash","reason":"\xff"}', "line"),
        (b'{"type":"crash","reason":"\\ud800"}', "reason"),
        (b'{"type":"leave","client_id":"a","topic":NaN}', "line"),
        (b"{}", "type"),
        (b'{"type":null}', "type"),
        (b'{"type":["join"]}', "type"),
        (b'{"type":"jump"}', "type"),
        (b'{"type":"reply","client_id":"c","topic":"t","status":"ok","payload":""}', "type"),
        (b'{"type":"leave","client_id":"c"}', "topic"),
        (b'{"type":"leave","client_id":"c","topic":"t","user_id":"u"}', "user_id"),
        (b'{"type":"restart","reason":""}', "reason"),
        (b'{"type":"leave","client_id":1,"topic":"t"}', "client_id"),
        (b'{"type":"leave","client_id":"","topic":"t"}', "client_id"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":null,"now_ms":1}', "user_id"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":true}', "now_ms"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":1.0}', "now_ms"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":-1}', "now_ms"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":"1"}', "now_ms"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":' + b"9" * 5000 + b"}", "line"),
        (b'{"type":"join","client_id":"c","topic":"t","user_id":"u","now_ms":' + b"9" * 700 + b"}", "now_ms"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_bad_line_is_refused_by_field(line, field):
    with pytest.raises(InvalidEvent) as caught:
        decode_event(line)
    assert caught.value.field == field
    assert "msgspec" not in str(caught.value)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_line_whatever_raises_another_error(line):
    try:
        decode_event(line)
    except InvalidEvent:
        pass


def test_an_invalid_event_is_not_encoded():
    with pytest.raises(InvalidEvent):
        encode(Push("c", "t", "e", "\ud800"))


def test_what_is_no_value_of_a_channel_is_refused():
    with pytest.raises(InvalidEvent):
        encode(object())


def test_outbound_messages_encode():
    assert encode(Reply("c", "t", "ok", "left")) == b'{"type":"reply","client_id":"c","topic":"t","status":"ok","payload":"left"}'


EQUAL_KEYS = [
    '{"type":"join","client_id":"c1","topic":"t","user_id":"u","now_ms":"soon","now_ms":1}',
    '{"type":"join","client_id":null,"client_id":"c1","topic":"t","user_id":"u","now_ms":1}',
    '{"type":"leave","type":"join","client_id":"c1","topic":"t","user_id":"u","now_ms":1}',
    '{"type":[],"client_id":"c1","topic":"t","user_id":"u","now_ms":1,"type":"join"}',
    '{"type":"join","client_id":"\\ud83d","client_id":"c1","topic":"t","user_id":"u","now_ms":1}',
    '{"type":"join","client_id":1,"client\\u005fid":"c1","topic":"t","user_id":"u","now_ms":1}',
    '{"type":"join","client_id":{"a":[1e400]},"client_id":"c1","topic":"t","user_id":"u","now_ms":1}',
]


@pytest.mark.parametrize("line", EQUAL_KEYS)
def test_of_equal_keys_the_last_counts_whatever_the_first_held(line):
    assert decode_event(line) == decode_event(line.encode()) == Join("c1", "t", "u", 1)


def test_of_equal_keys_the_last_counts_where_a_topic_may_be_left_out():
    assert decode_event('{"type":"crash","reason":"r","topic":7,"topic":null}') == Crash("r")
    assert decode_event('{"type":"crash","reason":"r","topic":null,"topic":"t"}') == Crash("r", "t")
    assert decode_event('{"type":"restart","topic":"t","topic":null}') == Restart()
    with pytest.raises(InvalidEvent, match="topic must be a str, got 7"):
        decode_event('{"type":"restart","topic":"t","topic":7}')


@pytest.mark.parametrize("tail", ["", "...", " and more", "\\u2026"])
def test_a_lone_surrogate_is_refused_as_what_it_is(tail):
    with pytest.raises(InvalidEvent, match="payload must be text that UTF-8 can encode"):
        decode_event('{"type":"broadcast","client_id":"c","topic":"t","payload":"cut \\ud83d' + tail + '"}')


def test_a_subclass_of_a_plain_type_is_refused_as_what_it_is():
    class Name(str):
        pass

    with pytest.raises(InvalidEvent, match="client_id must be a str itself, and not of a subclass"):
        encode(Join(Name("c"), "t", "u", 1))
    with pytest.raises(InvalidEvent, match="now_ms must be an int itself, and not of a subclass, got True"):
        encode(Join("c", "t", "u", True))


def test_a_strange_key_forges_no_line():
    with pytest.raises(InvalidEvent) as caught:
        decode_event('{"type":"restart","a\\nFORGED\\u001b[31m":1}')
    assert str(caught.value).isprintable()
