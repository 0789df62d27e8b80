"""A supervision tree as a value, and as text. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Literal

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.text import escaped, shown

ChildPhase = Literal["running", "starting", "stopping", "stopped", "restarting", "ended"]
TreePhase = ChildPhase | Literal["silent", "crashed", "given_up", "down"]
NodePhase = Literal["up", "mute", "buried"]

LIMIT = 10
"""So many children of each are shown by `str`."""

_NAME_LENGTH = 80  # a longer id would hide in a log what stands behind it


class Tree(Struct, frozen=True, gc=False):
    """An actor as its supervisor saw it when it was asked, and the trees below it. `str` gives `text()`."""

    id: Hashable
    """A child's id, a topic's name, a channel's adapter label; of the topmost supervisor of any actors, its class's name."""
    type: Literal["supervisor", "worker", "topic", "cluster", "node"]
    phase: TreePhase | NodePhase
    """As of a `ChildView`; `silent` too, a supervisor that did not answer in time: what is below it is not known.

    Of a channel: `running` or `crashed`. Of a topic: `running`; `starting`, as soon as the actor before it is down; `restarting`,
    when its backoff is over; `stopping`; `crashed`, by name, or `given_up`, both until it is restarted; `down` with the channel,
    and it comes up with it. Of another node of a cluster: `up`; `mute`, it is not heard and holds its lease; `buried`: dead.
    """
    incarnation: int | None = None
    """The number of a topic's actor, or of the one that is to come up; None where there is neither."""
    members: int | None = None
    """Of a topic, as of the last event that it is done with; while it is being restarted, who will be in it; None: no topic."""
    is_at_work: bool = False
    """Of a topic: it is handling something, which may change its members, or its sink has not returned."""
    restarts: int | None = None
    """How often it failed, or ended, and was to come up again, as far as that is remembered; None where it is not counted."""
    silent: int | None = None
    """Of another node: so many of this one's beats came back since it was heard."""
    lost: int | None = None
    """Of another node: how many of its messages did not come here."""
    children: tuple["Tree", ...] = ()
    """In the order of their start; topics by name."""

    def text(self, limit: int | None = LIMIT) -> str:
        """A line for each actor, in ASCII but for what its id brings.

        Args:
            limit: so many children of each are shown, and of the rest how many are in which phase. None: all are shown.

        Raises:
            InvalidOption: the limit is no int from 0 up.
        """
        if limit is not None and (type(limit) is not int or limit < 0):
            raise InvalidOption("limit", limit, "must be an int from 0 up, or None")
        return "\n".join(_lines(self, limit))

    def __str__(self) -> str:
        return self.text()


def _lines(tree: Tree, limit: int | None) -> Iterator[str]:
    yield f"{_name(tree.id)} [{tree.phase}] {', '.join(_details(tree))}"
    shown = tree.children[:limit]
    for number, child in enumerate(shown, start=1):
        is_last = number == len(tree.children)
        first, *below = _lines(child, limit)
        yield f"{'`-' if is_last else '|-'} {first}"
        yield from (f"{' ' if is_last else '|'}  {line}" for line in below)
    rest = tree.children[len(shown) :]
    if rest:
        phases = Counter(child.phase for child in rest)
        yield f"`- ... and {len(rest):,} more: {', '.join(f'{count:,} {phase}' for phase, count in phases.most_common())}"


def _name(child_id: Hashable) -> str:
    """One line, whatever it is."""
    if type(child_id) is str and child_id.isprintable():
        return escaped(child_id, _NAME_LENGTH)
    return shown(child_id, _NAME_LENGTH)


def _details(tree: Tree) -> Iterator[str]:
    yield tree.type
    if tree.incarnation is not None:
        yield f"incarnation {tree.incarnation}"
    if tree.members is not None:
        yield _count(tree.members, "member")
    if tree.is_at_work:
        yield "at work"
    if tree.restarts:
        yield _count(tree.restarts, "restart")
    if tree.silent:
        yield f"not heard for {_count(tree.silent, 'beat')}"
    if tree.lost:
        yield f"{tree.lost:,} lost"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
