"""A scenario as data: who sends what and when, to a channel of which options, and what is to go wrong."""

import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from lightspeed.actors.errors import InvalidOption, OutboxOff
from lightspeed.actors.failures import text_of
from lightspeed.actors.topics.rules.events import check_event
from lightspeed.channel import Channel, ChannelTimeout, Event, FaultPlan, Outbound, Restarts
from lightspeed.faults.fault import is_number
from lightspeed.supervision.topics import Mailbox
from lightspeed.testing.client import Client
from lightspeed.testing.scenario_client import ClientAct, Clients
from lightspeed.testing.scenario_tree import KEEPER, GrownTree, ScenarioTree, TreeAct

if TYPE_CHECKING:
    from lightspeed.testing.simulation import Simulation

OPERATOR = "operator"
"""Who sends crashes and restarts."""

READER = "reader"
"""Who reads."""


class Read(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="read", tag_field="type"):
    """Something is read of the channel."""

    what: Literal["subscribers", "presences", "topics", "membership_count", "crashed", "flush_outbox", "topics_of"]
    topic: str | None = None
    """For `subscribers` and `presences`."""
    of_client: str | None = None
    """For `topics_of`."""

    @property
    def of(self) -> str | None:
        """The topic or the client."""
        return self.of_client if self.what == "topics_of" else self.topic

    def __call__(self, channel: Channel) -> None:
        try:
            read = getattr(channel, self.what)
            if self.what in ("topics", "flush_outbox"):
                read()
            elif self.of is not None:
                read(self.of)
        except (ChannelTimeout, OutboxOff):
            pass  # where that is a breach, the channel has said so; or it has clients


class Sending(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One event, sent by its client, or by the operator where it has none; a read; what is done with a client, or to the tree."""

    event: Event | Read | ClientAct | TreeAct
    at_s: float = 0.0
    """Not before this moment of virtual time. Events of one sender are sent in their order all the same."""
    waits: bool = False
    """Whether its sender waits until it has taken effect."""

    @property
    def sender(self) -> str:
        if isinstance(self.event, TreeAct):
            return KEEPER
        return READER if isinstance(self.event, Read) else getattr(self.event, "client_id", OPERATOR)


class ScenarioOptions(Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Of the channel; each as of `Channel`."""

    rejoin: Literal["client", "supervisor"] = "client"
    restarts: Restarts = Restarts()
    rejoin_window_s: float = 30.0
    crash_timeout_s: float = 5.0
    event_timeout_s: float = 5.0
    has_sink: bool = False
    """Whether what is given out goes to a sink, which fails now and then, and not to the outbox."""
    behaviours: dict[str, str] = {}
    """For each pattern the name of what makes the behaviour, as `module:name`."""
    mailboxes: dict[str, Mailbox] = {}


class Scenario(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What `run` does in a simulation, and with the same seed always in the same way.

    Raises:
        InvalidEvent: one of the events breaks a rule.
        InvalidOption: a time is below 0, or no time; or something is done to a tree that there is not, or can't be done to it.
    """

    sendings: tuple[Sending, ...]
    """In order."""
    plan: FaultPlan = FaultPlan()
    options: ScenarioOptions = field(default_factory=ScenarioOptions)
    rest_s: float = 60.0
    """How much virtual time it is given after the last event, in which what was put off comes. Default 60."""
    tree: ScenarioTree | None = None
    """A supervisor of its own, beside the channel."""

    def __post_init__(self) -> None:
        check_time("rest_s", self.rest_s)
        for sending in self.sendings:
            if isinstance(sending.event, TreeAct):
                self._check_act(sending.event)
            elif not isinstance(sending.event, (Read, ClientAct)):
                check_event(sending.event)
            check_time("at_s", sending.at_s)

    def _check_act(self, act: TreeAct) -> None:
        if self.tree is None:
            raise InvalidOption("tree", None, f"must be there for {act.name}")
        self.tree.check(act)

    @property
    def has_tasks(self) -> bool:
        """Whether its tree has a child that is a task, or is to start one."""
        acts = (sending.event for sending in self.sendings if isinstance(sending.event, TreeAct))
        children = [*(() if self.tree is None else self.tree.children), *(act.starts for act in acts)]
        return any(child.needs_loop for child in children if child is not None)

    @classmethod
    def of(cls, events: Iterable[Event], plan: FaultPlan | None = None, **options: Any) -> Self:
        """All events at once, each sender's in order. Options as of `ScenarioOptions`."""
        sendings = tuple(Sending(event) for event in events)
        return cls(sendings, FaultPlan() if plan is None else plan, ScenarioOptions(**options))

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """What `to_json` wrote.

        Raises:
            InvalidOption: it is no JSON, or no scenario.
        """
        try:
            fields = msgspec.json.decode(text, type=dict[str, Any])
            plan = FaultPlan.from_json(msgspec.json.encode(fields.pop("plan", {})))
            return replace(msgspec.convert(fields, cls), plan=plan)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidOption("scenario", text, f"must be a scenario as JSON ({error})") from None

    def to_json(self) -> bytes:
        """One line, without the line's end.

        Raises:
            InvalidOption: the plan holds a callable that can't be found by a name.
        """
        plan = msgspec.json.decode(self.plan.to_json())
        fields = msgspec.to_builtins(replace(self, plan=FaultPlan()))
        return msgspec.json.encode({**fields, **({"plan": plan} if plan else {})})

    def __call__(self, simulation: "Simulation") -> None:
        """Play it: all clients send, and then it rests."""
        tree = None if self.tree is None else GrownTree(self.tree, simulation, needs_loop=self.has_tasks)
        options = {name: getattr(self.options, name) for name in ScenarioOptions.__struct_fields__}
        options["on_outbound"] = _Sink() if options.pop("has_sink") else None
        options["behaviours"] = {pattern: find(path) for pattern, path in self.options.behaviours.items()}
        channel = simulation.channel(faults=self.plan if self.plan.faults else None, **options)
        clients = Clients(channel)
        last_s: dict[str, float] = {}  # of each sender: nothing of his overtakes what he sends before
        for sending in self.sendings:
            after_s = last_s[sending.sender] = max(sending.at_s, last_s.get(sending.sender, 0.0))
            _send(simulation.client(channel, sending.sender), channel, clients, tree, sending, after_s)
        simulation.run_for(max(last_s.values(), default=0.0) + self.rest_s)


class _Sink:
    """Every tenth message is too much for it."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, _message: Outbound) -> None:
        self._count += 1
        if self._count % 10 == 0:
            raise RuntimeError("the tenth is too much")


def _send(client: Client, channel: Channel, clients: Clients, tree: GrownTree | None, sending: Sending, after_s: float) -> None:
    event = sending.event
    if isinstance(event, TreeAct):
        assert tree is not None
        client.do(lambda: tree.do(event, waits=sending.waits), name=event.name, after_s=after_s)
    elif isinstance(event, ClientAct):
        client.do(lambda: clients.do(event), name=event.name, after_s=after_s)
    elif isinstance(event, Read):
        client.do(lambda: event(channel), name=f"read {event.what} {event.of or ''}".rstrip(), after_s=after_s)
    else:
        (client.handle if sending.waits else client.send)(event, after_s=after_s)


def check_time(name: str, seconds: float) -> None:
    if not (is_number(seconds) and seconds >= 0):
        raise InvalidOption(name, seconds, "must be a number of seconds from 0 up")


def find(path: str) -> Callable[..., Any]:
    """What `module:name` names, or `file.py:name`.

    Raises:
        InvalidOption: there is nothing of that name.
    """
    module, _, name = path.rpartition(":")
    try:
        found = attrgetter(name)(_load(module) if module.endswith(".py") else import_module(module))
    except (Exception, SystemExit) as error:  # a module runs the user's code
        raise InvalidOption("name", path, f"must name something as module:name ({text_of(error)})") from error
    return found  # type: ignore[no-any-return]


_stamps: dict[str, tuple[int, int]] = {}  # when each was changed that was loaded from a file, and how large it was


def _load(path: str) -> ModuleType:
    """The module in the file, as `python FILE` would have it: what lies beside it can be imported.

    It is loaded again only if the file was changed, and registered as any module is: dataclasses and pickle look up a
    class's module by its name.
    """
    file = Path(path).resolve()
    name = _module_name(file)
    stamp = file.stat().st_mtime_ns, file.stat().st_size
    if name in sys.modules and _stamps.get(name, stamp) == stamp:
        return sys.modules[name]
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = spec_from_file_location(name, file)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:  # as the import system does it
        del sys.modules[name]
        raise
    _stamps[name] = stamp
    return module


def _module_name(file: Path) -> str:
    """Of the file: that under which it is loaded, or the next one that nobody has."""
    stem = re.sub(r"\W", "_", file.stem)
    names = (stem if number == 1 else f"{stem}_{number}" for number in count(1))
    return next(name for name in names if name not in sys.stdlib_module_names and _is_free_for(file, name))


def _is_free_for(file: Path, name: str) -> bool:
    if name not in sys.modules:
        return True
    taken = getattr(sys.modules[name], "__file__", None)
    return taken is not None and Path(taken).resolve() == file


def name_of(thing: Any) -> str | None:
    """The name by which `find` would find it; None where it wouldn't."""
    path = f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '')}"
    try:
        return path if find(path) is thing else None
    except InvalidOption:
        return None
