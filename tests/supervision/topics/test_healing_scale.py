"""One topic of very many fails: the others do not notice, and it heals by as little work as one of few."""

import statistics
import time

import pytest

from lightspeed.channel import Behaviour, Broadcast, BroadcastMessage, Channel, Join, Push, Rejoin, Reply, Restarts

pytestmark = pytest.mark.slow

FEW = 100
ROUNDS = 300
# The two medians differ by less than a fifth; what grew with the topics would differ by a hundred, or by a thousand.
AS_GOOD_AS_EQUAL = 4


class Fails(Behaviour):
    def on_push(self, room, client_id, event, payload):
        if event == "fail":
            raise ValueError("planted")
        room.reply(payload)


def crowded(topics, rejoin):
    """A channel with so many topics of one member each, and `x`, which can fail."""
    channel = Channel(behaviours={"x": Fails}, rejoin=rejoin, restarts=Restarts(intensity=10**6))
    for number in range(topics):
        channel.tell(Join("c", f"t{number}", "u", number))
    channel.tell(Join("a", "x", "u", 1))
    channel.flush_outbox()
    return channel


def healing_time_s(channel, number):
    """From the failing event until the next incarnation has handled its first one; of this process, on all its threads."""
    started_s = time.process_time()
    channel.tell(Push("a", "x", "fail", ""))
    channel.handle(Rejoin("a", "x", "u", number + 2))
    return time.process_time() - started_s


@pytest.mark.parametrize("many", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_one_of_very_many_topics_fails_and_heals_alone_in_the_time_of_one_of_100(rejoin, many):
    medians = {}
    for topics in (FEW, many):
        with crowded(topics, rejoin) as channel:
            medians[topics] = statistics.median(healing_time_s(channel, number) for number in range(ROUNDS))
            about = {getattr(message, "topic", "x") for message in channel.flush_outbox()}
            assert about == {"x"}
            channel.handle(Push("a", "x", "e", "well"))
            assert channel.flush_outbox() == [Reply("a", "x", "ok", "well")]
            assert channel.membership_count == topics + 1
            some = range(0, topics, 7)
            for number in some:
                channel.tell(Broadcast("c", f"t{number}", "next"))
            assert channel.flush_outbox() == [BroadcastMessage(f"t{n}", "next", ("c",)) for n in some]
            for number in range(0, topics, 997):
                (entry,) = channel.presences(f"t{number}")
                assert (entry.key, [meta.ref for meta in entry.metas]) == ("u", [f"c:{number}"])
    print("median time to heal, in µs:", {topics: round(s * 1e6) for topics, s in medians.items()})
    assert medians[many] < AS_GOOD_AS_EQUAL * medians[FEW]
