"""What races in a channel, thousands of times: it answers, everything accepted is answered once, and nothing is left."""

import logging
import random
import threading

import pytest
from moved_clock import MovedPool as Clock
from wild import DEEDS, HOOKS, Accounts, Misdeeds, assert_nothing_is_left, trial, wild

from lightspeed.channel import Backoff, Broadcast, Channel, ChannelTimeout, Crash, Join, Leave, Push, Rejoin, Restart, Restarts
from lightspeed.cli.storm_account import PUSHED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# A tenth of them runs with the rest of the suite, all of them with `pytest -m long`.
TRIALS = [pytest.param(400, id="some"), pytest.param(4000, id="all", marks=pytest.mark.long)]
ANSWER_S = 20


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Ten thousand tracebacks that nobody reads."""
    monkeypatch.setattr(logging.getLogger("pykka"), "disabled", True)


def options(rng):
    return {
        "timeout_s": ANSWER_S,
        "rejoin": rng.choice(["client", "supervisor"]),
        "restarts": Restarts(
            intensity=rng.choice([1, 3, 10**6]),
            waiting=rng.choice(["redeliver", "answer"]),
            backoff=rng.choice([None, None, Backoff(floor_s=0.001, cap_s=0.002)]),
            channel_intensity=rng.choice([None, None, 4]),
        ),
    }


def some_events(rng, topics, clients, count):
    for now_ms in range(1, count + 1):
        client, topic = rng.choice(clients), rng.choice(topics)
        yield rng.choice(
            (
                Join(client, topic, "u", now_ms),
                Rejoin(client, topic, "u", now_ms),
                Leave(client, topic),
                Broadcast(client, topic, client),
                Push(client, topic, PUSHED, "p"),
            )
        )


def some_orders(rng, topics):
    return rng.choice([Crash("r", rng.choice(topics)), Restart(rng.choice(topics)), Crash("r"), Restart()])


def ask(rng, channel, topics):
    """One of the calls that wait; what it flushes."""
    call = rng.randrange(5)
    if call == 0:
        channel.subscribers(rng.choice(topics))
    elif call == 1:
        assert channel.membership_count >= 0
    elif call == 2:
        assert channel.crashed in (True, False)
    elif call == 3:
        assert channel.presences("nowhere") == ()
    else:
        return channel.flush_outbox()
    return []


def close_in_vain(channel):
    try:
        channel.close()
    except ChannelTimeout:
        pass  # its clock has been moved on, and the thread that hangs is not back yet


@pytest.mark.parametrize("trials", TRIALS)
def test_a_close_races_with_crashes_and_failures(trials):
    for seed in range(trials):
        rng, misdeeds, accounts = random.Random(seed), Misdeeds(), Accounts()
        with trial(seed):
            for hook in rng.sample(HOOKS, 2):
                misdeeds.plan(hook, rng.choice(DEEDS))
            channel = Channel(behaviours={"b*": wild(misdeeds)}, **options(rng))
            accounts.tell(channel, *(Join(client, topic, "u", 1) for client in "cd" for topic in ("b1", "plain")))
            accounts.tell(channel, *some_events(rng, ["b1", "plain"], "cd", rng.randrange(4)))
            if rng.random() < 0.7:
                accounts.tell(channel, some_orders(rng, ["b1", "plain"]))
            accounts.tell(channel, *some_events(rng, ["b1", "plain"], "cd", rng.randrange(4)))
            channel.close()
            accounts.settle(channel.flush_outbox())
            assert_nothing_is_left(channel)


@pytest.mark.parametrize("trials", TRIALS)
def test_asks_and_last_leaves_race_with_crashes_and_failures(trials):
    """On a few channels for all trials: what one leaves behind, the next one meets."""
    for block in range(8):
        rng, misdeeds, accounts, outbound = random.Random(f"block {block}"), Misdeeds(), Accounts(), []
        topics = ["b1", "b2", "plain"]
        with Channel(behaviours={"b*": wild(misdeeds)}, **options(rng)) as channel, trial(f"block {block}"):
            for number in range(trials // 8):
                client = f"c{number}"
                accounts.tell(channel, Join(client, rng.choice(topics), "u", number + 1))
                misdeeds.plan(rng.choice(HOOKS), rng.choice(DEEDS))
                accounts.tell(channel, *some_events(rng, topics, [client], rng.randrange(3)))
                if rng.random() < 0.3:
                    accounts.tell(channel, some_orders(rng, topics))
                event = Leave(client, rng.choice(topics))
                accounts.accept(event)
                channel.handle(event)
                outbound += ask(rng, channel, topics)
                accounts.tell(channel, Restart(rng.choice([None, *topics])))
        outbound += channel.flush_outbox()
        with trial(f"block {block}"):
            accounts.settle(outbound)
            assert_nothing_is_left(channel)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("trials", TRIALS)
def test_a_topic_heals_of_a_failure_in_each_hook(trials, hook):
    rng, misdeeds, accounts = random.Random(hook), Misdeeds(), Accounts()
    kind = wild(misdeeds)
    kind.on_timer = lambda self, room, name: misdeeds.play("on_timer", room)
    kind.on_join = lambda self, room, client_id, user_id: (
        room.start_timer("t", 0) if hook == "on_timer" else misdeeds.play("on_join", room)
    )
    with Channel(behaviours={"*": kind}, restarts=Restarts(intensity=10**6), timeout_s=ANSWER_S, rejoin="supervisor") as channel:
        for number in range(trials // 8):
            with trial(number):
                topic, client = f"t{number % 3}", f"c{number}"
                if hook == "on_restart":
                    misdeeds.plan("on_push", rng.choice(DEEDS[:1]))
                misdeeds.plan(hook, rng.choice(DEEDS))
                events = [
                    Join(client, topic, "u", 1),
                    Push(client, topic, PUSHED, "p"),
                    Broadcast(client, topic, client),
                    Leave(client, topic),
                ]
                accounts.tell(channel, *events)
                if hook == "on_timer":
                    while misdeeds.planned["on_timer"]:
                        channel.handle(Rejoin("x", topic, "u", number))
                        accounts.accept(Rejoin("x", topic, "u", number))
                    while channel.subscribers(topic) not in ((), ("x",), (client,), ("x", client), (client, "x")):
                        pass
                    accounts.tell(channel, Leave("x", topic))
                last = Join("last", topic, "u", 1)  # whatever was, the topic works again
                accounts.tell(channel, Leave("last", topic), last, Rejoin(client, topic, "u", 3))
                assert "last" in channel.subscribers(topic)
                accounts.tell(channel, Leave("last", topic), Leave(client, topic))
                accounts.settle(channel.flush_outbox())
        assert misdeeds.done[hook] > trials // 16
    assert_nothing_is_left(channel)


@pytest.mark.parametrize("trials", TRIALS)
def test_crashes_and_failures_meet_a_restart(trials):
    """The next incarnation fails too, and orders to the topic and to the channel come while it is coming up."""
    for block in range(8):
        rng, misdeeds, accounts, outbound = random.Random(f"restart {block}"), Misdeeds(), Accounts(), []
        with Channel(behaviours={"b": wild(misdeeds)}, **options(rng)) as channel, trial(f"restart {block}"):
            for number in range(trials // 8):
                misdeeds.plan("on_push", rng.choice(DEEDS))
                misdeeds.plan("on_restart", rng.choice(DEEDS), times=rng.randrange(3))
                accounts.tell(channel, Join("c", "b", "u", number + 1), Push("c", "b", PUSHED, "p"), Push("c", "b", PUSHED, "p"))
                for _ in range(rng.randrange(4)):
                    accounts.tell(channel, some_orders(rng, ["b"]), *some_events(rng, ["b"], "c", 1))
                if rng.random() < 0.5:
                    outbound += ask(rng, channel, ["b"])
                accounts.tell(channel, Restart(), Restart("b"))
                misdeeds.planned.clear()
                event = Rejoin("c", "b", "u", number + 2)
                accounts.accept(event)
                channel.handle(event)
        outbound += channel.flush_outbox()
        with trial(f"restart {block}"):
            accounts.settle(outbound)
            assert_nothing_is_left(channel)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_behaviour_that_does_not_return_is_given_up_and_nobody_waits_for_it(hook):
    """Its clock is moved by hand, as far as it takes and no further."""
    for seed in range(25):
        rng, misdeeds, accounts, clock = random.Random(f"{hook} {seed}"), Misdeeds(), Accounts(), Clock()
        inside, go_on = threading.Event(), threading.Event()

        def hang(_room, inside=inside, go_on=go_on):
            inside.set()
            assert go_on.wait(60)

        kind = wild(misdeeds)
        channel = Channel(
            behaviours={"b": kind},
            runtime=clock,
            event_timeout_s=1,
            crash_timeout_s=1,
            timeout_s=ANSWER_S,
            rejoin=rng.choice(["client", "supervisor"]),
            restarts=Restarts(waiting=rng.choice(["redeliver", "answer"])),
        )
        with trial(f"{hook} {seed}"):
            if hook == "on_timer":
                kind.on_join = lambda self, room, client_id, user_id: room.start_timer("t", 0.1)
            if hook == "on_restart":
                misdeeds.plan("on_push", DEEDS[0])
            misdeeds.plan(hook, hang)
            events = [Join("c", "b", "u", 1), Push("c", "b", PUSHED, "p"), Broadcast("c", "b", "c"), Leave("c", "b")]
            accounts.tell(channel, *(events[:1] if hook == "on_timer" else events))
            while not inside.wait(0.001):
                clock.run_for(0.1)
                if hook == "on_restart":  # it runs before the next event, and none may have been left
                    accounts.tell(channel, Rejoin("d", "b", "u", 1))
            for order in rng.choice([(), (Crash("r", "b"),), (Crash("r"),)]):
                accounts.tell(channel, order)
            closer = threading.Thread(target=close_in_vain, args=(channel,))
            if rng.random() < 0.3:
                closer.start()
            else:
                accounts.tell(channel, Restart(), Restart("b"), Rejoin("d", "b", "u", 2), Leave("d", "b"))
                while not channel.abandoned_count:
                    clock.run_to_next(0.25, lambda channel=channel: channel.abandoned_count)
                accounts.settle(channel.flush_outbox())
                closer.start()
            while not channel.abandoned_count:
                clock.run_to_next(0.25, lambda channel=channel: channel.abandoned_count)
            go_on.set()
            closer.join(ANSWER_S)
            assert not closer.is_alive()
            channel.close(ANSWER_S)  # now every thread comes to its end
            accounts.settle(channel.flush_outbox())
            assert_nothing_is_left(channel)
            assert channel.abandoned_count == 1
            assert all(letter.why in ("late", "stopped") for letter in channel.dead_letters())
