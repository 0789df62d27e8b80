"""What Python's own way to pickle could not load again."""

import collections
import datetime
import decimal
import json
import sys
import types

import msgspec
import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.capsules.pickler import pickled, unpickled


class Proxy:
    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        return getattr(self._target, name)


class SlotProxy:
    __slots__ = ("_target",)
    __init__, __getattr__ = Proxy.__init__, Proxy.__getattr__


class Slotted:
    __slots__ = ("__hidden", "open")

    def __init__(self):
        self.open, self.__hidden = 1, 2

    def told(self):
        return self.open, self.__hidden


class Checks:
    def __init__(self):
        self.data = {"a": 1}

    def __getattribute__(self, name):
        assert "data" in object.__getattribute__(self, "__dict__")
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        assert name not in object.__getattribute__(self, "__dict__")
        object.__setattr__(self, name, value)


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a}{b}")
        self.a, self.b = a, b


class Named(Exception):
    def __init__(self, *, code):
        self.code = code


class OfSystem(OSError):
    __slots__ = ("why",)

    def __init__(self, path, why):
        super().__init__(2, why, path)
        self.why = why


class OfText(UnicodeDecodeError):
    def __init__(self, why):
        super().__init__("utf-8", b"\xff", 0, 1, why)


class Made(Exception):
    def __new__(cls, a, b):
        return super().__new__(cls, a)

    def __init__(self, a, b):
        self.b = b


class Group(ExceptionGroup):
    def __new__(cls, errors, extra):
        self = super().__new__(cls, "many", errors)
        self.extra = extra
        return self

    def __init__(self, errors, extra):
        pass


@pytest.mark.parametrize(
    "error",
    [
        *(TwoArguments(1, 2), Named(code=3), OfSystem("/p", "no"), OfText("bad"), Made(1, 2), Group([TwoArguments(3, 4)], 5)),
        *(OSError(2, "no", "/p"), KeyError("k"), StopIteration(4), SystemExit(5), ImportError("i", name="n", path="p")),
        *(json.JSONDecodeError("m", "doc", 0), SyntaxError("s", ("f", 1, 2, "t"))),
        *(InvalidOption("o", 1, "must"), UnicodeEncodeError("ascii", "\xff", 0, 1, "r")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_come_back_with_all_that_they_hold_whatever_their_arguments(error):
    error.add_note("a note")
    made = pickled(error)
    assert made.runs == made.tokens == ()
    back = unpickled(made.data)
    assert (type(back).__name__, str(back), repr(back)) == (type(error).__name__, str(error), repr(error))
    names = (
        "a",
        "b",
        "code",
        "errno",
        "filename",
        "why",
        "reason",
        "value",
        "name",
        "pos",
        "lineno",
        "option",
        "extra",
        "__notes__",
    )
    for name in names:
        assert getattr(back, name, None) == getattr(error, name, None)


def with_items(made, *items):
    for item in items:
        made.append(item) if isinstance(made, list) else made.__setitem__(item, item)
    return made


class LoggingDict(dict):
    def __init__(self, name):
        self.log = [name]

    def __setitem__(self, key, value):
        self.log.append(key)
        super().__setitem__(key, value)


class LoggingList(list):
    def __init__(self, name):
        self.log = [name]

    def append(self, item):
        self.log.append(item)
        super().append(item)

    extend = None


class NamedSet(set):
    def __init__(self, name, items):
        super().__init__(items)
        self.log = [name]


class NamedFrozenSet(frozenset):
    def __new__(cls, name, items):
        return super().__new__(cls, items)


class NamedDeque(collections.deque):
    def __init__(self, name):
        super().__init__([1, 2], 5)
        self.log = [name]


class Ordered(collections.OrderedDict):
    def __init__(self, name):
        super().__init__(a=1)


class Counts(collections.Counter):
    def __init__(self, name, text):
        super().__init__(text)


class Pair(collections.namedtuple("Two", "a b")):
    def __new__(cls, a):
        return super().__new__(cls, a, a)


class Text(str):
    def __new__(cls, text, more):
        return super().__new__(cls, text)


class Number(int):
    def __new__(cls, number, more):
        return super().__new__(cls, number)


class Moment(datetime.datetime):
    def __new__(cls, *args, tag=None):
        return super().__new__(cls, *args)


class Amount(decimal.Decimal):
    def __new__(cls, text, unit):
        return super().__new__(cls, text)


@pytest.mark.parametrize(
    "value",
    [
        *(
            with_items(LoggingDict("n"), "a", "b"),
            with_items(LoggingList("n"), 1, 2),
            NamedSet("n", [1]),
            NamedFrozenSet("n", [1]),
        ),
        *(
            NamedDeque("n"),
            Ordered("n"),
            Counts("n", "aab"),
            Pair(3),
            Text("t", 1),
            Number(4, 5),
            Moment(2020, 1, 2),
            Amount("1.5", 0),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_a_kind_of_pythons_own_comes_back_whatever_its_class_asks_for(value):
    made = pickled(value)
    assert made.runs == made.tokens == ()
    back = unpickled(made.data)
    base = type(value).__mro__[1]
    assert type(back).__name__ == type(value).__name__
    assert base.__eq__(back, value)
    assert getattr(back, "log", None) == getattr(value, "log", None)
    assert getattr(back, "maxlen", None) == getattr(value, "maxlen", None)


@pytest.mark.parametrize("target", [[1], "text", datetime.datetime(2020, 1, 1), types.SimpleNamespace(a=1)], ids=str)
@pytest.mark.parametrize("kind", [Proxy, SlotProxy])
def test_a_proxy_that_hands_on_every_question_comes_back(kind, target):
    back = unpickled(pickled(kind(target)).data)
    assert type(back).__name__ == kind.__name__
    assert back._target == target


def test_attributes_are_put_in_place_without_asking_the_class():
    slotted, checks = unpickled(pickled((Slotted(), Checks())).data)
    assert slotted.told() == (1, 2)
    assert checks.data == {"a": 1}


class Point(msgspec.Struct, frozen=True, tag=True):
    x: int
    y: list[int] = []
    z: str = "z"

    def told(self):
        return Point, self.x, self.y, self.z


class Deeper(Point, kw_only=True, frozen=True):
    w: int
    v: int = 5


def test_structs_come_back_with_their_fields_and_methods():
    point, deeper = unpickled(pickled((Point(1, [2]), Deeper(1, w=4))).data)
    assert point.told() == (type(point), 1, [2], "z")
    assert deeper.told()[1:] == (1, [], "z")
    assert (deeper.w, deeper.v, isinstance(deeper, type(point))) == (4, 5, True)
    assert type(point)(3).y is not type(point)(3).y
    assert msgspec.json.decode(msgspec.json.encode(point), type=type(point)) == point
    assert msgspec.json.encode(point) == msgspec.json.encode(Point(1, [2]))
    with pytest.raises(AttributeError):
        point.x = 2


class Reduces:
    def __reduce__(self):
        return Reduces, (1, 2, 3)


class Sets:
    def __setstate__(self, state):
        raise SystemExit


class Base:
    def __init_subclass__(cls, *, name):
        cls.name = name


class Derived(Base, name="d"):
    pass


class Meta(type):
    pass


class Metaclassed(metaclass=Meta):
    pass


class Hashed:
    def __init__(self):
        self.key = 1
        self.friends = {self}

    def __hash__(self):
        return hash(self.key)


@pytest.mark.parametrize("kind", [Reduces, Sets, Derived, Metaclassed, Hashed])
def test_what_only_a_trial_can_tell_is_named(kind):
    assert kind.__name__ in pickled(kind()).runs


def test_a_class_with_a_hash_of_its_own_is_named_where_it_stands_in_a_set_alone():
    held = Hashed()
    held.friends = [held]
    assert pickled(held).runs == ()
    assert pickled({held: 1}).runs == ("Hashed",)


def test_the_recursion_limit_is_as_it_was():
    limit = sys.getrecursionlimit()
    pickled(Proxy(1))
    assert sys.getrecursionlimit() == limit
