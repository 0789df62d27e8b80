"""Each of the witness's rules is broken once, by a runtime with a bug, and the right one is named. (More bugs: planted.py.)"""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
from model.moody import Moody
from msgspec.structs import replace

from lightspeed.actors.topics.mail import TimerFired
from lightspeed.actors.topics.rules import topic
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.life import ChannelLife
from lightspeed.actors.topics.rules.outbound import PushMessage, Reply
from lightspeed.actors.topics.rules.presence import Presence
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.channel import (
    Backoff,
    Behaviour,
    Broadcast,
    Channel,
    Crash,
    FaultPlan,
    Join,
    Leave,
    Push,
    Rejoin,
    Restart,
    Restarts,
    System,
)
from lightspeed.faults import Corrupt, Delay, DelayReply, Drop, Duplicate, FailSupervisor, Hang, Jump, LoseReply, Raise, Reorder
from lightspeed.supervision.rules import RestartWindow
from lightspeed.supervision.topics import supervisor as topics_supervisor
from lightspeed.supervision.topics.messages import Close
from lightspeed.supervision.topics.outlet import Outbox, SinkQueues
from lightspeed.supervision.topics.supervisor import TopicSupervisor
from lightspeed.supervision.topics.topic import Incarnation, Leaving, Phase, Topic, Trouble
from lightspeed.testing import Case, play

CRASHES = FaultPlan((Raise(match={"payload": "bad"}),))


def chat(simulation, **options):
    """Two come, talk, and see their room fail, crash and come up; one leaves."""
    channel = simulation.channel(**{"faults": CRASHES, **options})
    ann, bob = simulation.client(channel, "ann"), simulation.client(channel, "bob")
    for payload in ("bad", "good"):
        for client in (ann, bob):
            client.join("x")
            client.broadcast("x", "hello")
            client.push("x", "e", payload)
            client.broadcast("x", "again")
        simulation.run()
    for event in (Crash("ordered", "x"), Broadcast("ann", "x", "late"), Restart("x"), Rejoin("ann", "x", "ann", 5)):
        channel.tell(event)
    simulation.run()
    ann.broadcast("x", "back")
    ann.leave("x")
    simulation.run_for(60)


def kept_chat(simulation):
    chat(simulation, rejoin="supervisor")


def behaved_chat(simulation):
    chat(simulation, behaviours={"*": Behaviour})


def kept_behaved_chat(simulation):
    chat(simulation, behaviours={"*": Behaviour}, rejoin="supervisor")


def replay_with_replies(state, rejoins):
    given = ()
    for event in rejoins:
        given += yield from state.handling(event)
    return given


def impatient_chat(simulation):
    """It fails more often than it may be restarted."""
    channel = simulation.channel(faults=CRASHES, restarts=Restarts(intensity=1, period_s=60))
    client = simulation.client(channel, "ann")
    for _ in range(4):
        client.join("x")
        client.push("x", "e", "bad")
    simulation.run_for(1)


def overlapping_chat(simulation):
    """A room is crashed and comes up while it still has much to do."""
    channel = simulation.channel()
    client = simulation.client(channel, "ann")
    client.join("x")
    simulation.run()
    for event in (*[Push("ann", "x", "e", "p")] * 5, Crash("all"), Restart(), Join("bob", "x", "bob", 1)):
        channel.tell(event)
    simulation.run()


def chat_that_stays_down(simulation):
    channel = simulation.channel()
    for event in (Join("ann", "x", "ann", 1), Crash("ordered", "x"), Join("bob", "x", "bob", 2)):
        channel.handle(event)


def waiting_chat(simulation):
    """More is sent to a room that comes up than may wait for it."""
    restarts = Restarts(max_waiting=1, backoff=Backoff(floor_s=5, cap_s=5, jitter=0))
    channel = simulation.channel(faults=CRASHES, restarts=restarts)
    client = simulation.client(channel, "ann")
    client.join("x")
    client.push("x", "e", "bad")
    simulation.run()
    for _ in range(3):
        client.broadcast("x", "hello")
    simulation.run_for(10)


def chat_in_a_row(simulation):
    """A room is crashed again while it is being restarted."""
    channel = simulation.channel(rejoin="supervisor", behaviours={"*": Behaviour})
    simulation.client(channel, "ann").join("x")
    simulation.run()
    for event in (Crash("one", "x"), Restart("x"), Crash("again", "x"), Restart("x"), Crash("all"), Restart()):
        channel.tell(event)
    simulation.run()


def chat_put_off(simulation):
    """A room that has failed is counted, and crashed, before it comes up."""
    restarts = Restarts(backoff=Backoff(floor_s=5, cap_s=5, jitter=0))
    channel = simulation.channel(rejoin="supervisor", faults=CRASHES, restarts=restarts)
    client = simulation.client(channel, "ann")
    client.join("x")
    client.push("x", "e", "bad")
    simulation.run()
    assert channel.membership_count < 2
    channel.handle(Crash("while it is put off", "x"))
    channel.handle(Restart("x"))
    assert channel.subscribers("x") == ("ann",)


class Choosy(Behaviour):
    """Lets nobody in again who was there as it failed, but for the first."""

    def on_restart(self, room, reason):
        self.seats = 1

    def on_start(self, room):
        self.seats = 9

    def on_join(self, room, client_id, user_id):
        if len(room.members) > self.seats:
            room.refuse("no seat is left")


def chat_that_refuses(simulation):
    """Whoever is brought back is asked about again, and not all may."""
    channel = simulation.channel(rejoin="supervisor", behaviours={"*": Choosy})
    for name in ("ann", "bob", "cid"):
        simulation.client(channel, name).join("x")
    simulation.run()
    for event in (Crash("ordered", "x"), Restart("x")):
        channel.tell(event)
    simulation.run()
    assert len(channel.subscribers("x")) == 1


def stuck_chat(simulation):
    """A room with a mind of its own does not come back."""
    channel = simulation.channel(behaviours={"*": Behaviour}, faults=FaultPlan((Hang(at=2),)))
    client = simulation.client(channel, "ann")
    client.join("x")
    client.broadcast("x", "hello")
    simulation.run_for(20)


def chat_that_hangs(simulation):
    """A room does not come back, and is to crash."""
    channel = simulation.channel(faults=FaultPlan((Hang(at=2),)))
    for event in (Join("ann", "x", "ann", 1), Push("ann", "x", "e", "p"), Crash("it hangs", "x")):
        channel.tell(event)
    simulation.run_for(20)


def chat_that_waits(simulation):
    """Everything is waited for, and read."""
    channel = simulation.channel()
    ann, bob = simulation.client(channel, "ann"), simulation.client(channel, "bob")
    for client in (ann, bob):
        client.handle(Join(client.client_id, "x", "u", 1))
        client.do(lambda: channel.subscribers("x"))
        client.do(lambda: (channel.membership_count, channel.topics()))
    ann.handle(Leave("ann", "x"))
    ann.handle(Crash("ordered", "x"))
    simulation.run()
    assert channel.subscribers("x") == ()


def chat_with_a_sink(simulation):
    chat(simulation, on_outbound=lambda message: None)


def moody_chat(simulation):
    channel = simulation.channel(behaviours={"*": Moody})
    client = simulation.client(channel, "ann")
    client.join("x")
    for _ in range(4):
        client.broadcast("x", "hello")
    simulation.run_for(30)


def chat_that_is_left(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "ann")
    client.join("x")
    client.leave("x")
    simulation.run()


def chat_that_stays_up(simulation):
    simulation.channel().handle(Join("ann", "x", "ann", 1))


def broken(owner, name, make):
    """A patch by a function that is made of the method that it replaces."""
    return patch.object(owner, name, make(getattr(owner, name)))


class Lax(RestartWindow):
    def allow(self, now_s):
        return True


def deaf_to_the_sender(state, event, seq, out):
    given = []
    TopicState._broadcast(state, event, seq, given)
    out += [
        (seq, tuple(topic.BroadcastMessage(m.topic, m.payload, tuple(m.recipients)[1:]) for m in messages))
        for seq, messages in given
    ]


def forgetful_push(state, event, seq, out):
    TopicState._push(state, event, seq, out)
    state.users.clear()


def flushed(change):
    """A flush whose messages are changed so."""

    def take(real):
        def take_changed(outbox, last_seq, taken):
            given = []
            real(outbox, last_seq, given)
            taken += [(0, tuple(change([message for _seq, messages in given for message in messages])))]

        return take_changed

    return take


def swapped(tell):
    """Every second event of a client goes in before the one that it was sent after."""
    kept = []

    def tell_later(channel, event):
        kept.append(event)
        if len(kept) == 2:
            tell(channel, kept[1])
            tell(channel, kept[0])
            kept.clear()

    return tell_later


def with_a_ghost(take):
    return lambda trouble, incarnation: (*take(trouble, incarnation), Rejoin("ghost", "x", "ghost", 1))


def left_out_of_the_line(leave):
    """Who is to go is not waited for."""

    def forget(supervisor, one, phase, *latches):
        one.phase, one.leaving, supervisor._topics[one.cell.topic].live = phase, Leaving(), None

    return forget


def takes_all_for_up(answer):
    def say_nothing(life, event, *, topic_exists):
        given = answer(life, event, topic_exists=topic_exists)
        return None if isinstance(event, Join) and life.down else given

    return say_nothing


def agrees_while_down(answer):
    def agree(life, event, *, topic_exists):
        given = answer(life, event, topic_exists=topic_exists)
        is_refusal = given is not None and isinstance(given[0], Reply) and given[0].payload == "crashed"
        return (Reply(event.client_id, event.topic, "ok", "fine"),) if is_refusal else given

    return agree


def twice(handling):
    def handle_and_reply_twice(state, event):
        messages = yield from handling(state, event)
        return (*messages, *[message for message in messages if isinstance(message, Reply)])

    return handle_and_reply_twice


def gives_up_at_once(look):
    def give_up(supervisor):
        with patch.object(supervisor, "_options", replace(supervisor._options, event_timeout_s=1e-6)):
            look(supervisor)

    return give_up


def but_for_put_off(nobody):
    """Where a topic waits for its backoff, nobody is in it."""
    return lambda answer: lambda topic: nobody if topic.live.phase is Phase.BACKOFF else answer(topic)


@contextmanager
def counts_as_empty():
    """A topic that is being restarted counts as empty."""
    with (
        patch.object(Incarnation, "is_settled", property(lambda one: not one.is_busy)),
        patch.object(Topic, "count", lambda topic: topic.live.cell.members),
    ):
        yield


def backwards(put):
    def put_backwards(lanes, seq, name, messages, *others):
        return put(lanes, seq, name, messages[::-1], *others)

    return put_backwards


def but_for_crashes_of_all(change):
    def change_others(supervisor, order):
        if order.request != Crash("all"):
            change(supervisor, order)

    return change_others


def with_an_old_reason(behaved):
    def tell_anyway(supervisor, topic):
        made = behaved(supervisor, topic)
        made.restarted_by = made.restarted_by or "it was so once"
        return made

    return tell_anyway


REPLAY = BehavedTopic.replaying


def without_refusals(state, rejoins):
    given = yield from REPLAY(state, rejoins)
    return tuple(message for message in given if not isinstance(message, PushMessage))


def asks_nobody(state, event):
    yield from ()
    return TopicState.handle(state, event)


def closes_alone(supervisor, _message):
    """Its topics stay as they are."""
    supervisor._closing, supervisor._is_plain = True, False
    supervisor._topics.clear()
    supervisor.stop()


BROKEN = {
    "an answer of the supervisor's that is no refusal": (
        "accounted_for",
        "the supervisor answered",
        chat,
        lambda: broken(ChannelLife, "answer", agrees_while_down),
    ),
    "two replies of a behaviour's to one event": (
        "accounted_for",
        "was answered twice",
        behaved_chat,
        lambda: broken(BehavedTopic, "handling", twice),
    ),
    "an event that is handled while its topic is down": (
        "life",
        "was accepted while x was down",
        chat_that_stays_down,
        lambda: broken(ChannelLife, "answer", takes_all_for_up),
    ),
    "a broadcast that leaves its sender out": (
        "model",
        "was due",
        chat,
        lambda: patch.dict(topic._STEPS, {Broadcast: deaf_to_the_sender}),
    ),
    "a member that is lost without a word": (
        "model",
        "x",
        chat,
        lambda: patch.dict(topic._STEPS, {Push: forgetful_push}),
    ),
    "a presence that the messages do not tell of": (
        "presence",
        "where",
        chat,
        lambda: patch.object(Presence, "entries", lambda presence: ()),
    ),
    "a second incarnation beside the first": (
        "one_incarnation",
        "x#2 was started while x#1 lived",
        overlapping_chat,
        lambda: broken(TopicSupervisor, "_leave", left_out_of_the_line),
    ),
    "events that overtake others on their way": (
        "order",
        "was accepted before an earlier one of the same client",
        chat,
        lambda: broken(Channel, "tell", swapped),
    ),
    "a flush out of order": (
        "outbox",
        "were due",
        chat,
        lambda: broken(Outbox, "take", flushed(lambda messages: messages[::-1])),
    ),
    "a flush that loses something": (
        "outbox",
        "were due",
        chat,
        lambda: broken(Outbox, "take", flushed(lambda messages: messages[:-1])),
    ),
    "somebody brought back who was never there": (
        "rejoin",
        "ghost",
        kept_chat,
        lambda: broken(Trouble, "take", with_a_ghost),
    ),
    "an order that is answered by another's word": (
        "orders",
        "where (System(label='topic_restarted:x'),) was due",
        chat,
        lambda: patch.object(ChannelLife, "_restart", lambda life, name: life.down.pop(name, None) and "restarted"),
    ),
    "an order that waits for ever": (
        "orders",
        "Crash(reason='it hangs', topic='x') was not carried out, and for",
        chat_that_hangs,
        lambda: patch.object(TopicSupervisor, "_count_overdue", lambda supervisor, order, progress: None),
    ),
    "an order that is lost": (
        "accounted_for",
        "no answer was given to [Crash(reason='all', topic=None)]",
        overlapping_chat,
        lambda: broken(TopicSupervisor, "_change", but_for_crashes_of_all),
    ),
    "members who are not told of a crash": (
        "restarts",
        "was due",
        chat,
        lambda: patch(
            "lightspeed.supervision.topics.transitions.crash_messages",
            lambda name, members, reason: (System(f"topic_crashed:{name}"),),
        ),
    ),
    "a crash that is over before those whom it takes": (
        "handle",
        "had not ended",
        chat_that_waits,
        lambda: patch.object(TopicSupervisor, "_wait_for_leaving", lambda supervisor, latch, name=None: None),
    ),
    "a read that does not stand in line": (
        "reads",
        "subscribers of x",
        chat_that_waits,
        lambda: patch.object(TopicSupervisor, "_ask", lambda supervisor, name, question: supervisor._answer(question, "")),
    ),
    "an empty topic that goes on": (
        "stops",
        "nobody is in x#1, and it has not stopped",
        chat_that_is_left,
        lambda: patch.object(TopicSupervisor, "_stop_one", lambda supervisor, one, reply=None: reply is not None and reply.set()),
    ),
    "a reply to those who are brought back": (
        "rejoin",
        "status='ok', payload='rejoined'), ",
        kept_behaved_chat,
        lambda: patch.object(BehavedTopic, "replaying", replay_with_replies),
    ),
    "a behaviour that is never given up": (
        "stuck",
        "is not given up",
        stuck_chat,
        lambda: patch.object(TopicSupervisor, "_give_up_the_stuck", lambda supervisor: None),
    ),
    "one that is given up at once": (
        "stuck",
        "was given up, and had its time",
        stuck_chat,
        lambda: broken(TopicSupervisor, "_give_up_the_stuck", gives_up_at_once),
    ),
    "more that waits than may": (
        "waiting",
        "events wait for x",
        waiting_chat,
        lambda: patch.object(TopicSupervisor, "_has_enough", lambda supervisor, one: False),
    ),
    "a relay that fails of itself": (
        "supervisor",
        "a relay, failed of KeyError",
        chat,
        lambda: patch.dict(topic._STEPS, {Broadcast: lambda state, event, seq, out: {}[event]}),
    ),
    "a supervisor that fails of itself": (
        "supervisor",
        "the supervisor failed of KeyError",
        chat,
        lambda: patch.object(TopicSupervisor, "_add", lambda supervisor, name, restores=False: {}[name]),
    ),
    "a sink that is given the last first": (
        "sink",
        "another one's turn",
        chat_with_a_sink,
        lambda: broken(SinkQueues, "put", backwards),
    ),
    "an actor that outlives its channel": (
        "close",
        "the channel is closed",
        chat_that_stays_up,
        lambda: patch.dict(topics_supervisor._HANDLERS, {Close: closes_alone}),
    ),
    "a behaviour whose timers never ring": (
        "model",
        "a timer of x#1, 'tick', has not rung",
        moody_chat,
        lambda: patch.dict(topics_supervisor._HANDLERS, {TimerFired: lambda supervisor, message: None}),
    ),
    "a behaviour that is not asked": (
        "model",
        "was due",
        moody_chat,
        lambda: patch.object(BehavedTopic, "_ask_of_member", asks_nobody),
    ),
    "a crash that is lost while its topic is being restarted": (
        "orders",
        "gave (System(label='unknown_topic:x'),), where (System(label='topic_crashed:x'), PushMessage(client_id='ann'",
        chat_in_a_row,
        counts_as_empty,
    ),
    "a census that forgets who will come back": (
        "reads",
        "membership_count: 0 in x, where there were [1]",
        chat_put_off,
        lambda: broken(Topic, "count", but_for_put_off(0)),
    ),
    "a put-off topic's members who are not told of a crash": (
        "orders",
        "was due",
        chat_put_off,
        lambda: broken(Topic, "members", but_for_put_off(())),
    ),
    "a behaviour that begins as if nothing had been before": (
        "model",
        "x ended by one, and x#2 is told that it did by None",
        chat_in_a_row,
        lambda: patch.object(TopicSupervisor, "_note_death", lambda supervisor, name, reason: None),
    ),
    "a behaviour that is told of an end long ago": (
        "model",
        "is told that it did by it was so once",
        behaved_chat,
        lambda: broken(TopicSupervisor, "_make_behaved", with_an_old_reason),
    ),
    "who is refused as he is brought back, and is not told": (
        "rejoin",
        "refused were []",
        chat_that_refuses,
        lambda: patch.object(BehavedTopic, "replaying", without_refusals),
    ),
    "more restarts than are allowed": (
        "restarts",
        "it was restarted, where it was to be given up",
        impatient_chat,
        lambda: patch("lightspeed.supervision.topics.histories.RestartWindow", Lax),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_is_broken_is_named(name):
    invariant, text, scenario, bug = BROKEN[name]
    with bug():
        found = [outcome for outcome in (play(Case(scenario, seed)) for seed in range(10)) if outcome.error is not None]
    assert {outcome.failure for outcome in found} == {invariant}
    assert text in str(found[0].error)


@pytest.mark.parametrize("scenario", list(dict.fromkeys(row[2] for row in BROKEN.values())))
def test_without_a_bug_none_is_broken(scenario):
    for seed in range(10):
        assert play(Case(scenario, seed)).error is None


FAULTS = [
    *(Drop(every=2), Duplicate(every=2), Delay(1.0, every=2), Reorder(2, every=2)),
    *(LoseReply(every=2), DelayReply(1.0, every=2), Corrupt("spoilt", every=2), Hang(at=3), Jump(100.0, at_s=0.5)),
    *(Raise("after", every=3), Raise("on_stop"), Raise("on_failure"), FailSupervisor(at=4)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_what_follows_of_a_fault_of_the_plan_is_no_breach(fault):
    for seed in range(5):
        for scenario in (chat, kept_chat, behaved_chat):
            outcome = play(Case(scenario, seed, plan=FaultPlan((fault,))))
            assert outcome.error is None or outcome.failure.startswith("ChannelClosed") == isinstance(fault, FailSupervisor)
