"""Scenarios that are drawn by lot: few clients, few topics, much that goes wrong; now and then a supervisor."""

import random
from collections.abc import Callable
from typing import Any

from model.random_tree import RandomActs, random_tree
from msgspec.structs import replace

from lightspeed.channel import (
    Backoff,
    Broadcast,
    Crash,
    Disconnect,
    Event,
    FaultPlan,
    Join,
    Leave,
    Publish,
    Push,
    Rejoin,
    Restart,
    Restarts,
    Send,
)
from lightspeed.clients import Inbox
from lightspeed.faults import (
    Corrupt,
    Delay,
    DelayReply,
    Drop,
    Duplicate,
    FailSupervisor,
    Fault,
    Full,
    Hang,
    Jump,
    LoseReply,
    Raise,
    Reorder,
    Slow,
)
from lightspeed.supervision.topics import Mailbox
from lightspeed.testing.scenario import Read, Scenario, ScenarioOptions, Sending
from lightspeed.testing.scenario_client import ClientAct
from lightspeed.testing.scenario_tree import ScenarioTree, TreeAct

_MOODY = "model.moody:Moody"
_LATER = "model.moody:MoodyLater"
_CLIENTS = ("a1", "a2", "b1", "c:1")  # two of them are one user's
_TOPICS = ("x", "y", "z")
_READS = (
    *(Read("subscribers", topic) for topic in _TOPICS),
    *(Read("presences", topic) for topic in _TOPICS[:1]),
    *(Read("topics"), Read("membership_count"), Read("crashed"), Read("flush_outbox")),
)
_TREES = 0.15  # of all scenarios
_ROWS = 0.25  # of all scenarios
_ACTS = 0.6  # of what is done in those
_IN_PROCESS = 0.4  # of all scenarios
_SMALL = 0.3  # of all scenarios
_WHERE = 0.4  # of all scenarios
_WHATS = ("make", "take_over", "join", "leave", "update", "broadcast", "push", "receive", "close")
_WEIGHTS = (2, 1, 7, 2, 2, 3, 3, 3, 1)
_CROWD = 33  # from 32 members on a topic keeps its recipients in another way


def random_scenario(seed: int, events: int = 40, *, faults: bool = True) -> Scenario:
    """The same for the same seed, on any machine.

    Args:
        events: how many are sent, from 0 up. Default 40.
        faults: whether things go wrong beyond crashes and restarts. Default True.
    """
    rng = random.Random(f"scenario {seed}")
    whole = rng.random() < 0.3  # then much comes at the same moments, as bounds of windows do
    rest_s = rng.choice((60.0, 60.0, 60.0, 0.0))
    within_s = 20 if rest_s else 1  # else it is closed in the middle of things
    moments = sorted(_moment(rng, within_s, whole=whole) for _ in range(events))
    waits, reads = rng.choice((0.0, 0.0, 0.3)), rng.choice((0.0, 0.1, 0.2))
    has_crowd = rng.random() < 0.05
    crowd = [f"guest {number}" for number in range(_CROWD)] if has_crowd else []
    sendings = [Sending(Join(guest, "x", "guest", 0)) for guest in crowd]
    tree = _tree(seed)
    acts = None if tree is None else RandomActs(rng, tree)
    for at_s in moments:
        if acts is not None and rng.random() < _ACTS:
            sendings.append(Sending(acts.next(), at_s, rng.random() < 0.3))
        elif rng.random() < reads:
            sendings.append(Sending(rng.choice(_READS), at_s))
        else:
            sendings.append(Sending(_event(rng, int(at_s * 1000), crowd), at_s, rng.random() < waits))
    _put_rows(seed, sendings, len(crowd))
    _put_clients(seed, sendings, len(crowd))
    _put_questions(seed, sendings, len(crowd))
    plan = FaultPlan(tuple(_fault(rng) for _ in range(rng.randrange(4))), rng.randrange(2**32)) if faults else FaultPlan()
    options = replace(_options(rng), mailboxes=_mailboxes(seed))
    return Scenario(tuple(sendings), plan, options, rest_s=rest_s, tree=tree)


def _put_clients(seed: int, sendings: list[Sending], first: int) -> None:
    """In the place of others, what clients in the process do; under the ids of others, whose events go on."""
    rng = random.Random(f"clients {seed}")
    if rng.random() >= _IN_PROCESS:
        return
    share, ids = rng.choice((0.3, 0.6)), rng.sample(_CLIENTS, rng.randrange(1, 4))
    unmade = set(ids)
    for place in range(first, len(sendings)):
        if not isinstance(sendings[place].event, TreeAct) and rng.random() < share:
            client_id = rng.choice(ids)
            act = _act(rng, client_id, is_made=client_id not in unmade)
            unmade.discard(client_id)
            sendings[place] = replace(sendings[place], event=act, waits=False)


def _put_questions(seed: int, sendings: list[Sending], first: int) -> None:
    """In the place of others, who is where."""
    rng = random.Random(f"questions {seed}")
    if rng.random() >= _WHERE:
        return
    for place in range(first, len(sendings)):
        if not isinstance(sendings[place].event, (TreeAct, ClientAct)) and rng.random() < 0.15:
            sendings[place] = Sending(Read("topics_of", of_client=rng.choice(_CLIENTS)), sendings[place].at_s)


def _act(rng: random.Random, client_id: str, *, is_made: bool) -> ClientAct:
    what: Any = rng.choices(_WHATS, weights=_WEIGHTS)[0] if is_made else "make"
    if what in ("make", "take_over"):
        overflow = rng.choice(("drop_oldest", "drop_newest", "latest", "close"))
        inbox = rng.choice((None, None, Inbox(rng.randrange(1, 4), rng.choice((None, 300)), overflow)))
        return ClientAct(what, client_id, text=client_id[0], inbox=inbox, auto_rejoin=rng.random() < 0.6)
    return ClientAct(what, client_id, rng.choice(_TOPICS), rng.choice(("", "blue")))


def _mailboxes(seed: int) -> dict[str, Mailbox]:
    """Drawn apart too."""
    rng = random.Random(f"mailboxes {seed}")
    if rng.random() >= _SMALL:
        return {}
    return {
        pattern: Mailbox(
            rng.randrange(1, 5),
            rng.choice((64 * 1024 * 1024, 350)),
            rng.choice(("refuse", "drop_oldest", "drop_newest", "wait")),
        )
        for pattern in rng.choice((("*",), ("x",), _TOPICS))
    }


def _put_rows(seed: int, sendings: list[Sending], first: int) -> None:
    """In the place of others, orders in a row: one comes while what the one before it began is not done."""
    rng = random.Random(f"rows {seed}")
    if rng.random() >= _ROWS:
        return
    for _ in range(rng.randrange(1, 4)):
        row = _row(rng)
        place = rng.randrange(first, max(first + 1, len(sendings)))
        taken = sendings[place : place + len(row)]
        if len(taken) == len(row) and not any(isinstance(sending.event, TreeAct) for sending in taken):
            sendings[place : place + len(row)] = [Sending(event, taken[0].at_s) for event in row]


def _row(rng: random.Random) -> list[Event | Read]:
    topic = rng.choice(_TOPICS)
    begun: list[list[Event | Read]] = [[Crash("one", topic), Restart(topic)], [Crash("all"), Restart()]]
    between: list[list[Event | Read]] = [[], [], [Leave(rng.choice(_CLIENTS), topic)], [Read("membership_count")]]
    end: list[list[Event | Read]] = [[], [Restart(topic)]]
    return [*rng.choice(begun), *rng.choice(between), Crash("again", topic), *rng.choice(end)]


def _tree(seed: int) -> ScenarioTree | None:
    """Drawn apart, so that all other scenarios are as they would be without any."""
    rng = random.Random(f"tree {seed}")
    return random_tree(rng) if rng.random() < _TREES else None


def _moment(rng: random.Random, within_s: int, *, whole: bool) -> float:
    later_s = float(rng.randrange(within_s)) if whole else rng.uniform(0, within_s)
    return rng.choice((0.0, 0.0, later_s))


def _event(rng: random.Random, now_ms: int, crowd: list[str]) -> Event:
    client, topic = rng.choice(_CLIENTS), rng.choice(_TOPICS)
    if crowd and rng.random() < 0.7:
        client, topic = rng.choice((*crowd[:3], client)), "x"
    user = client[0] if rng.random() < 0.9 else "d"
    time_ms = max(0, now_ms - rng.choice((0, 0, 0, 500)))  # some come late
    makes: list[tuple[int, Callable[[], Event]]] = [
        (6, lambda: Join(client, topic, user, time_ms, rng.choice(("", "", "blue")))),
        (6, lambda: Rejoin(client, topic, user, time_ms, rng.choice((None, None, "", "red")))),
        (3, lambda: Leave(client, topic, rng.choice((None, None, time_ms)))),
        (1, lambda: Disconnect(client, rng.choice((None, time_ms)))),
        (4, lambda: Broadcast(client, topic, "b", rng.choice(("", "named")))),
        (1, lambda: Publish(topic, "p", "news")),
        (1, lambda: Send(client, topic, "e", "s")),
        (4, lambda: Push(client, topic, "e", "p")),
        (1, lambda: Crash("one", topic)),
        (1, lambda: Restart(topic)),
        (1, lambda: Crash("all")),
        (2, lambda: Restart()),
    ]
    (_, make) = rng.choices(makes, weights=[weight for weight, _ in makes])[0]
    return make()


def _options(rng: random.Random) -> ScenarioOptions:
    backoff = rng.choice((None, None, Backoff(floor_s=0.5, cap_s=4.0, quiet_s=rng.choice((3.0, 60.0)))))
    restarts = Restarts(
        intensity=rng.choice((0, 1, 3, 1000, 1000 if backoff is None else None)),
        period_s=rng.choice((1.0, 5.0)),
        backoff=backoff,
        tell_reason=rng.random() < 0.5,
        channel_intensity=rng.choice((None, None, 1, 5)),
        waiting=rng.choice(("redeliver", "redeliver", "answer")),
        max_waiting=rng.choice((1000, 2)),
    )
    return ScenarioOptions(
        behaviours=rng.choice(({}, {}, {"x": _MOODY}, {"*": _MOODY}, {"x": _MOODY, "*": _LATER}, {"*": _LATER})),
        rejoin=rng.choice(("client", "supervisor")),
        restarts=restarts,
        rejoin_window_s=rng.choice((30.0, 2.0)),
        has_sink=rng.random() < 0.2,
    )


def _fault(rng: random.Random) -> Fault:
    trigger: dict[str, Any] = {"topic": rng.choice((*_TOPICS, "*")), "times": rng.choice((1, 2, 5))}
    trigger |= rng.choice(({"at": rng.randrange(1, 8)}, {"every": rng.randrange(2, 6)}, {"probability": rng.choice((0.1, 0.4))}))
    seconds = rng.choice((0.1, 1.0, 7.0))
    kind: Callable[..., Fault] = rng.choice(
        (Raise, Raise, Raise, _in_hook, Slow, Hang, Full, Corrupt, LoseReply, DelayReply, Drop, Delay, Duplicate, Reorder, Jump)
    )
    if rng.random() < 0.02:
        return FailSupervisor(at=rng.randrange(1, 40))
    if kind is Raise:
        return Raise(hook=rng.choice(("before", "after")), **trigger)
    if kind is _in_hook:
        return _in_hook(rng, trigger["topic"])
    if kind is Jump:
        return Jump(by_s=rng.choice((-5.0, 3.0, 100.0)), at_s=rng.uniform(0, 20))
    own: dict[object, dict[str, object]] = {
        **{kind: {"seconds": seconds} for kind in (Slow, DelayReply, Delay)},
        Corrupt: {"payload": "poisoned"},
        Reorder: {"window": rng.randrange(1, 4)},
    }
    return kind(**own.get(kind, {}), **trigger)


def _in_hook(rng: random.Random, topic: str) -> Raise:
    return Raise(hook=rng.choice(("on_start", "on_failure", "on_stop")), restart=rng.choice((None, 1, 2)), topic=topic, times=2)
