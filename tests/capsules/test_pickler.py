import asyncio
import base64
import collections
import concurrent.futures
import contextlib
import enum
import functools
import json
import os
import queue
import socket
import sys
import threading
import types
import typing
from dataclasses import dataclass
from urllib.parse import quote

import cloudpickle
import msgspec
import pykka
import pytest

from lightspeed.actors.errors import TokenUsed
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic, finish
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.capsules.pickler import TooDeep, TooLarge, pickled, unpickled
from lightspeed.capsules.redaction import REDACTED
from lightspeed.capsules.secrets import Token
from lightspeed.channel import Behaviour, Broadcast, Channel, Join, Leave, Push, Rejoin

SECRET = "hunter2-" + "x" * 3


def there_and_back(value):
    return unpickled(pickled(value).data)


MODULE = """
import functools, typing

Word = typing.NewType("Word", str)

class Thing:
    def say(self) -> Word:
        return word()

@functools.lru_cache
def word():
    return Word("hello")
"""


class Vault:
    def __init__(self, **values):
        self.__dict__.update(values)

    def __repr__(self):  # without an address: it stands in the names of tests
        return f"Vault({self.__dict__})"


class Slotted:
    __slots__ = ("password",)


class Config(msgspec.Struct, frozen=True):
    name: str
    password: str


@dataclass
class Account:
    name: str
    password: str = ""


class Pair(typing.NamedTuple):
    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    password: str


class Field(enum.Enum):
    API_KEY = 1


class Kind(enum.Enum):
    SESSION = "session"


class Counting(Behaviour):
    def __init__(self):
        self.seen = []

    def on_start(self, room):
        room.start_timer("session", 5)

    def on_push(self, room, client_id, event, payload):
        self.seen.append(payload)
        room.reply(str(len(self.seen)))


def crowd(state, count):
    for number in range(count):
        state.handle(Join(f"session:{number}", "t", f"token{number % 7}", number))
    state.handle(Leave("session:3", "t"))
    state.handle(Broadcast("session:4", "t", "p"))
    state.handle(Rejoin("session:5", "t", "other", 5000))
    return state


@pytest.mark.parametrize("count", [6, 31, 33, 200])
def test_a_relays_state_comes_back_with_members_presence_and_roster_whatever_they_are_called(count):
    state = crowd(TopicState("t"), count)
    made = pickled(state)
    back = unpickled(made.data)
    assert (made.tokens, made.redactions) == ((), ())
    assert (back.rejoins, back.presences, back.subscribers) == (state.rejoins, state.presences, state.subscribers)
    for event in (Broadcast("session:4", "t", "q"), Leave("session:1", "t"), Join("n", "t", "u", 1), Broadcast("n", "t", "r")):
        assert back.handle(event) == state.handle(event)


def test_a_behaviours_state_comes_back_with_its_timers():
    state = crowd(BehavedTopic("t", make=Counting), 40)
    ((name, key, delay_s),) = state.take_timers()
    assert (name, delay_s) == ("session", 5)
    back = there_and_back(state)
    assert back._timers["session"] is not key
    assert type(back._timers["session"]) is object
    push = Push("session:4", "t", "e", "p")
    assert back.handle(push) == state.handle(push)
    assert back._behaviour.seen == ["p"]
    assert finish(back.ringing("session", object())) == ()
    assert finish(back.ringing("session", back._timers["session"])) == ()
    assert "session" not in back._timers


def test_a_snapshot_is_of_its_moment_also_in_what_a_closure_holds():
    def make():
        seen = []

        class Room(Behaviour):
            def on_push(self, room, client_id, event, payload):
                seen.append(payload)
                room.reply(",".join(seen))

        return Room

    state = BehavedTopic("t", make=make())
    state.handle(Join("a", "t", "u", 1))
    data = pickled(state).data
    assert state.handle(Push("a", "t", "e", "one"))[0].payload == "one"
    assert unpickled(data).handle(Push("a", "t", "e", "two"))[0].payload == "two"


def test_what_is_tied_to_the_process_becomes_a_token_that_is_named():
    loop = asyncio.new_event_loop()
    here, there = socket.socketpair()
    with contextlib.closing(loop), here, there, open(os.devnull) as file, Channel() as channel:
        held = Vault(
            thread=threading.current_thread(),
            local=threading.local(),
            file=file,
            socket=here,
            future=concurrent.futures.Future(),
            answer=pykka.ThreadingFuture(),
            pooled=PooledFuture(),
            loop=loop,
            channel=channel,
            supervisor=channel._supervisor,
            generator=(number for number in ()),
            environ=os.environ,
            innocent=[1, 2],
        )
        made = pickled(held)
    back = unpickled(made.data).__dict__
    assert back.pop("innocent") == [1, 2]
    assert {type(value) for value in back.values()} == {Token}
    assert [token.split(":")[0] for token in made.tokens] == [f"Vault.{name}" for name in back]
    with pytest.raises(TokenUsed, match=r"Vault\.socket: socket\.socket"):
        back["socket"].send(b"x")


def test_locks_come_back_as_fresh_ones_of_their_kind_and_shared_as_they_were():
    held = Vault(lock=threading.Lock(), rlock=threading.RLock(), event=threading.Event(), semaphore=threading.Semaphore(2))
    held.condition, held.barrier, held.queue = threading.Condition(held.lock), threading.Barrier(2), queue.Queue()
    held.queue.put("waiting")
    held.event.set()
    with held.lock, held.rlock:
        made = pickled(held)
    assert made.tokens == made.runs == ()
    back = unpickled(made.data)
    assert {name: type(value) for name, value in vars(back).items()} == {n: type(value) for n, value in vars(held).items()}
    assert back.condition._lock is back.lock
    with back.condition, back.rlock:
        assert not back.condition.wait(0)
    assert back.event.is_set()
    assert [back.semaphore.acquire(blocking=False) for _ in range(3)] == [True, True, False]
    assert back.queue.get_nowait() == "waiting"


def test_a_token_within_a_list_is_named_by_its_kind_alone():
    assert pickled(["hunter2", threading.local()]).tokens == ("_thread._local",)


class Unwilling:
    def __reduce__(self):
        raise RuntimeError("no")


def test_what_refuses_to_be_pickled_becomes_a_token():
    made = pickled({"a": Unwilling(), "b": 1})
    assert unpickled(made.data)["b"] == 1
    assert made.tokens == (f"a: {__name__}.Unwilling",)


@pytest.mark.parametrize("given", [(len,), (), 7, (1, ()), (len, [1]), (len, (1,)) * 4], ids=repr)
def test_what_claims_to_be_pickled_and_can_not_becomes_one_too(given):
    class Liar:
        def __reduce__(self):
            return given

    made = pickled([Liar()])
    assert [token.rpartition(".")[2] for token in made.tokens] == ["Liar"]
    assert type(unpickled(made.data)[0]) is Token


class Deep:
    def __init__(self, inner):
        self.inner = inner


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}, Deep])
def test_what_is_too_deep_is_an_error_and_no_half_of_it_is_taken_for_the_whole(make):
    value = None
    for _ in range(50_000):
        value = make(value)
    with pytest.raises(TooDeep, match="nested too deep"):
        pickled(value)


class Endless:
    def __reduce__(self):
        return self.__reduce__()


def test_what_is_too_deep_by_itself_becomes_a_token():
    assert pickled({"a": Endless()}).tokens == (f"a: {__name__}.Endless",)


def test_no_more_is_pickled_than_may_be():
    with pytest.raises(TooLarge, match="larger than 1000 bytes"):
        pickled(["x" * 500, "y" * 501], 1000)
    assert len(pickled("x" * 900, 1000).data) < 1000


def test_a_module_stays_by_value_while_anybody_else_pickles_it(module):
    class Inner:
        def __reduce__(self):
            pickled(module.Thing())
            return (str, ("done",))

    made = pickled([module.word, Inner(), module.Thing()])
    assert b"word" in made.data
    assert not cloudpickle.list_registry_pickle_by_value()
    assert b"only_here\x94\x8c\x05Thing" not in made.data


def test_a_class_that_is_loaded_again_changes_none_that_the_program_has():
    class Room:
        password = "hunter2-of-the-class"

    back = there_and_back(Room())
    assert (type(back).password, Room.password) == (REDACTED, "hunter2-of-the-class")


class Tell:
    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return Tell, self.args


@pytest.mark.parametrize(
    "value",
    [
        {"password": SECRET, "dsn": f"postgres://u:{SECRET}@host"},
        {"dsn": f"postgres://u:{SECRET}@host/db"},
        {"url": f"redis://:{quote('s3cret/p@ss word', safe='')}@host", "password": "s3cret/p@ss word"},
        {"token": "s3cret/p@ss\xfc", "log": ["got " + json.dumps({"t": "s3cret/p@ss\xfc"})]},
        {"token": SECRET.encode(), "log": [f"got {SECRET.encode()!r}", b"raw " + SECRET.encode()]},
        {"Authorization": f"Bearer {SECRET}", "seen": SECRET},
        {"authorization": "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode(), "seen": [f"got {SECRET}"]},
        [("X-Api-Key", SECRET)],
        [[b"cookie", SECRET.encode()]],
        {"url": f"https://h/?token={SECRET}&a=b"},
        {"request": "GET / HTTP/1.1\r\nAuthorization: Bearer hunter2-xxx\r\n"},
        {Field.API_KEY: SECRET},
        Vault(token=SECRET, told=Tell("u", SECRET)),
        Vault(body=json.dumps({"inner": json.dumps({"password": SECRET})})),
        Vault(body=json.dumps({"password": SECRET}).encode()),
        Vault(body='{"password": "' + SECRET + '", "cut off'),
        Vault(body="[" * 3000 + '{"password": "' + SECRET + '"}' + "]" * 3000),
        Pair("n", SECRET),
        Frozen("n", SECRET),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_secret_does_not_go_along_in_another_form_or_place_either(value):
    made = pickled(value)
    for form in (SECRET.encode(), b"s3cret", base64.b64encode(f"u:{SECRET}".encode())):
        assert form not in made.data
    assert made.redactions
    unpickled(made.data)


def test_a_secret_that_could_be_a_name_changes_no_other_text():
    held = Vault(password="secret_word", names=["Vault", "names"], pin="1234", also="1234", user="admin", passwd="admin")
    back = there_and_back(held)
    assert (back.password, back.passwd, back.pin) == (REDACTED,) * 3
    assert (back.names, back.user, back.also) == (["Vault", "names"], "admin", "1234")


def test_what_is_round_and_secret_goes_whole():
    secret = {"raw": SECRET}
    secret["self"] = secret
    made = pickled(Vault(credentials=secret))
    assert made.secrets == {SECRET}


class Evil(dict):
    __hash__ = None

    def items(self):
        raise SystemExit

    def __eq__(self, other):
        raise SystemExit

    @property
    def __class__(self):
        raise SystemExit


def test_objects_that_answer_for_themselves_are_not_asked():
    evil = Evil(token=SECRET)
    made = pickled({"a": [evil], "credentials": evil, "token": evil})
    assert SECRET.encode() not in made.data


@pytest.mark.parametrize(
    "value",
    [
        {"deep": [{"Password": SECRET}]},
        {b"cookie": SECRET.encode()},
        Vault(api_key=SECRET),
        Vault(credentials={"user": SECRET, "more": [SECRET]}),
        Vault(secret=Vault(raw=SECRET)),
        collections.defaultdict(list, token=SECRET),
        collections.OrderedDict(session=SECRET),
        Config("n", SECRET),
        Account("n", SECRET),
        Push("a", "t", "e", '{"password":"' + SECRET + '"}'),
        Push("a", "t", "set_password", SECRET),
        Vault(last='[null,"1",{"token": "' + SECRET + '"}]'),
        types.SimpleNamespace(passwd=SECRET),
    ],
    ids=repr,
)
def test_what_stands_under_a_name_that_looks_secret_does_not_go_along(value):
    made = pickled(value)
    assert SECRET.encode() not in made.data
    assert made.redactions
    unpickled(made.data)


def test_slots_closures_globals_and_class_attributes_are_looked_at_too():
    slotted = Slotted()
    slotted.password = SECRET

    def outer(token):
        return lambda: (token, GLOBAL_TOKEN, slotted)

    of_class = type("Made", (), {"secret": SECRET, "session": property(lambda self: 1)})
    made = pickled((slotted, outer(SECRET), of_class))
    assert SECRET.encode() not in made.data
    assert set(made.redactions) == {"Slotted.password", "token", "GLOBAL_TOKEN", "Made.secret"}
    back, function, of_class = unpickled(made.data)
    assert (back.password, function()[:2], of_class.secret, of_class().session) == (REDACTED, (REDACTED, REDACTED), REDACTED, 1)


GLOBAL_TOKEN = SECRET


def test_a_redacted_value_keeps_its_kind_where_that_says_nothing():
    made = pickled(Vault(token="abcd", pin=123_456, otp=b"x", session=[1], password=None, cookie="", auth=True, secret=7))
    back = unpickled(made.data)
    assert (back.token, back.pin, back.otp) == (REDACTED, 0, REDACTED.encode())
    assert (back.password, back.cookie, back.auth, back.secret) == (None, "", True, 7)
    with pytest.raises(TokenUsed, match=r"Vault\.session: it was redacted"):
        len(back.session)
    assert made.redactions == ("Vault.token", "Vault.pin", "Vault.otp", "Vault.session")
    assert made.secrets == {"abcd", "123456", "x", "1"}


def test_enumerations_methods_and_fields_are_code_whatever_their_name():
    kind, account = there_and_back((Kind, Account("a")))
    assert kind.SESSION.value == "session"
    assert repr(account).endswith("Account(name='a', password='')")
    assert pickled(Kind.SESSION).redactions == ()


class Cached:
    def __init__(self):
        self.count = 0

    @functools.cached_property
    def token(self):
        self.count += 1
        return "t"

    @functools.lru_cache(maxsize=3)  # noqa: B019
    def session(self, name):
        return name


def test_what_functools_makes_of_a_method_works_as_before():
    cached = there_and_back(Cached())
    assert (cached.token, cached.token, cached.count, cached.session("n")) == ("t", "t", 1, "n")
    assert type(cached).session.cache_parameters() == {"maxsize": 3, "typed": False}


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    yield only_here
    del sys.modules["only_here"]


def test_a_module_of_the_users_goes_by_value_and_others_by_name(module, monkeypatch):
    data = pickled((module.Thing(), functools.partial(module.word), Join("a", "t", "u", 1), collections.Counter("a"))).data
    assert not cloudpickle.list_registry_pickle_by_value()
    monkeypatch.delitem(sys.modules, "only_here")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "test_a_module" not in path])
    thing, word, join, counter = unpickled(data)
    assert (thing.say(), word()) == ("hello", "hello")
    assert type(join) is Join
    assert type(counter) is collections.Counter
    sys.modules["only_here"] = module


def test_what_the_user_had_registered_stays_registered(module):
    cloudpickle.register_pickle_by_value(module)
    try:
        pickled(module.Thing())
        assert cloudpickle.list_registry_pickle_by_value() == {"only_here"}
    finally:
        cloudpickle.unregister_pickle_by_value(module)
