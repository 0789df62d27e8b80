import warnings
from functools import partial

import pytest

from lightspeed.actors.checks import check_one_of, is_async, is_put_off, puts_off
from lightspeed.actors.errors import InvalidOption


async def awaited(*_args):
    pass


def yielding(*_args):
    yield


async def both(*_args):
    yield


def plain(*_args):
    return awaited()


class Called:
    async def __call__(self):
        pass

    async def method(self):
        pass

    def plain_method(self):
        pass


class Derived(Called):
    pass


class Yielding:
    def __call__(self):
        yield


class Evil:
    """It answers nothing that is asked of it."""

    def __getattribute__(self, name):
        raise SystemExit(name)

    def __call__(self):
        pass


@pytest.mark.parametrize(
    "call",
    [awaited, yielding, both, partial(awaited, 1), partial(partial(both), 1), Called(), Derived(), Called().method, Yielding()],
)
def test_what_is_known_to_do_nothing_at_once_is_told(call):
    assert puts_off(call)


@pytest.mark.parametrize("call", [plain, partial(plain, 1), Called().plain_method, Called, Yielding, len, None, "x"])
def test_whatever_else_is_taken_for_plain(call):
    assert not puts_off(call)


@pytest.mark.parametrize("make", [awaited, yielding, both])
def test_what_such_a_call_returns_is_told_and_warns_of_nothing(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_put_off(make())


@pytest.mark.parametrize("value", [None, 0, [], iter([])])
def test_no_other_value_is(value):
    assert not is_put_off(value)


def test_nothing_is_asked_of_an_object():
    evil = Evil()
    assert not puts_off(evil)
    assert not is_put_off(evil)
    assert not is_async(evil)


@pytest.mark.parametrize("call", [awaited, partial(partial(awaited, 1), 1), Called(), Derived(), Called().method])
def test_of_those_a_coroutine_function_is_told(call):
    assert is_async(call)


@pytest.mark.parametrize("call", [yielding, both, plain, partial(both, 1), Yielding(), Called, len, None])
def test_no_other_call_is_one(call):
    assert not is_async(call)


@pytest.mark.parametrize("value", ["c", "", None, 1, ["a"], type("Word", (str,), {})("a")])
def test_what_is_none_of_the_words_is_refused_by_name(value):
    check_one_of("option", "a", ("a", "b"))
    with pytest.raises(InvalidOption, match="option must be one of a, b, got"):
        check_one_of("option", value, ("a", "b"))
