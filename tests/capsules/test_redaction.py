import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.capsules.redaction import REDACTED, looks_secret, may_be_secret, redact_json


@pytest.mark.parametrize(
    "name",
    [
        *("password", "userPassword", "PASSWD", "client_secret", "X-Api-Key", "apikey", "Authorization", "aws_credentials"),
        *("privateKey", "Set-Cookie", "session_id", "refresh_token", "auth", b"token"),
    ],
)
def test_names_that_look_secret_in_any_way_of_writing(name):
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["author", "name", "key", "option", "spin", "", 7, None, ("password",)])
def test_names_that_do_not(name):
    assert not looks_secret(name)


def test_a_value_is_no_secret_if_it_is_empty_a_truth_or_a_small_number():
    assert not any(map(may_be_secret, (None, True, False, "", b"", [], {}, 0, 999, -999, 0.5)))
    assert all(map(may_be_secret, ("x", b"x", ["x"], {"x": 1}, 1000, 1000.5, object())))


def test_json_keeps_its_writing_but_for_the_secrets():
    text = '{ "user":"ann",  "password" : "a\\"b:c", "n": [1,   {"apiKey":12345}] , "note": "\\"token\\": \\"x\\"" }'
    redacted, names, secrets = redact_json(text)
    assert redacted == text.replace('"a\\"b:c"', f'"{REDACTED}"').replace("12345", f'"{REDACTED}"')
    assert (names, secrets) == (["password", "apiKey"], ['a"b:c', "12345"])
    assert redact_json(redacted) is None


def test_a_whole_object_under_a_secret_name_goes_with_all_its_leaves():
    redacted, names, secrets = redact_json('[{"credentials": {"user": "u1", "pins": ["8812", null]}, "a": 1}]')
    assert json.loads(redacted) == [{"credentials": REDACTED, "a": 1}]
    assert (names, secrets) == (["credentials"], ["u1", "8812"])


@pytest.mark.parametrize(
    "text", ["", "password", '{"a": 1}', '{"token": null}', '{"token": ""}', '{"token"', '"token"', "[" * 5000]
)
def test_other_text_is_left_alone(text):
    assert redact_json(text) is None


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text() | st.just("token"), x))
)
def test_what_is_redacted_is_json_still_and_has_nothing_more_to_redact(value):
    done = redact_json(json.dumps(value))
    if done is not None:
        json.loads(done[0])
        assert redact_json(done[0]) is None
