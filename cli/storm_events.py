"""What the clients of a storm send."""

import random
from collections.abc import Iterator, Sequence
from itertools import count

from lightspeed.channel import Broadcast, Join, Leave, Push, Rejoin

TopicEvent = Join | Rejoin | Leave | Broadcast | Push

PUSHED = "storm"  # the name of every push, so that a topic's own are not taken for one


def some_events(chance: random.Random, topics: Sequence[str], clients: int, thread: int) -> Iterator[TopicEvent]:
    """Without end, and no two of all threads are equal: that is by what they are known.

    Args:
        clients: so many at once; who leaves is followed by another.
    """
    members: list[tuple[str, str] | None] = [None] * clients
    for number in count(1):
        name = f"{thread}.{number}"
        place = chance.randrange(clients)
        member = members[place]
        if member is None:
            member = members[place] = name, chance.choice(topics)
            yield Join(*member, f"user {place}", number)
            continue
        kind = chance.randrange(10)
        if kind == 0:
            members[place] = None
            yield Leave(*member)
        elif kind == 1:
            yield Rejoin(*member, f"user {place}", number)
        elif kind < 6:
            yield Push(*member, PUSHED, name)
        else:
            yield Broadcast(*member, name)
