import threading

import pytest

from lightspeed.capsules.redaction import REDACTED, Censor
from lightspeed.capsules.secrets import secrets_in
from lightspeed.capsules.told import Raised

SECRET = "S3cret-" + "x" * 8


def caught(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError


def told(error, *secrets):
    return Raised(error).failure(Censor(secrets))


def test_causes_contexts_notes_and_groups_are_told_and_none_of_them_tells_a_secret():
    def fail():
        try:
            raise KeyError(f"inner {SECRET}")
        except KeyError as inner:
            error = ExceptionGroup(f"outer {SECRET}", [ValueError(f"one {SECRET}"), OSError(2, SECRET)])
            error.add_note(f"note {SECRET}")
            raise error from inner

    failure = told(caught(fail), SECRET)
    assert SECRET not in failure.text + failure.traceback
    for words in ("inner [redacted]", "direct cause", "outer [redacted]", "note [redacted]", "number 1", "one [redacted]"):
        assert words in failure.traceback
    assert failure.type == "builtins.ExceptionGroup"


def test_a_secret_is_taken_out_before_anything_is_cut():
    for before in (3_990, 3_995, 199_995, 5):
        failure = told(ValueError("x" * before + SECRET), SECRET)
        assert "S3cr" not in failure.text + failure.traceback


def test_exceptions_that_lead_back_to_themselves_end():
    first, second = ValueError(1), ValueError(2)
    first.__cause__, second.__cause__ = second, first
    group = ExceptionGroup("g", [first] * 50)
    assert told(group).traceback.count("ValueError: 1") == 1
    many = ValueError(0)
    for number in range(1, 10_000):
        many, many.__context__ = ValueError(number), many
    assert "ValueError: 9999" in told(many).traceback


class Mute(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class Masked(Exception):
    @property
    def __class__(self):
        raise SystemExit

    args = property(lambda self: 1 / 0)
    __dict__ = property(lambda self: 1 / 0)


class Numb(Exception):
    def __str__(self):
        return 5


@pytest.mark.parametrize("kind", [Mute, Masked, Numb])
def test_an_exception_whose_text_can_not_be_had_is_told_all_the_same(kind):
    raised = Raised(kind())
    failure = raised.failure(Censor(secrets_in(raised.locals())))
    assert failure.type.endswith(f"test_told.{kind.__name__}")
    assert failure.text == "(its text can't be had)" or kind is Masked


@pytest.mark.slow  # it takes its time
def test_a_text_that_does_not_come_is_not_waited_for():
    go_on = threading.Event()

    class Slow(Exception):
        def __str__(self):
            go_on.wait(20)
            return ""

    assert told(Slow()).text == "(it did not give its text within 0.5 s)"
    go_on.set()


def test_what_functions_had_in_variables_counts_as_said():
    def connect(password):
        pin = 8_812_771
        options = {"headers": [("X-Api-Key", "k" * 12)], "pin": pin}
        raise OSError(f"no {password} {pin} {options}")

    raised = Raised(caught(lambda: connect(SECRET)))
    failure = raised.failure(Censor(secrets_in(raised.locals())))
    assert failure.text == f"no {REDACTED} {REDACTED} {{'headers': [('X-Api-Key', '{REDACTED}')], 'pin': {REDACTED}}}"
