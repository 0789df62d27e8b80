"""`lightspeed cluster`: whether a Redis is fit to carry a cluster, and what the nodes that it carries are doing."""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from lightspeed.actors.errors import BadFrame
from lightspeed.actors.text import escaped
from lightspeed.cli.lines import LineStream, OutputFailed, say
from lightspeed.cli.streams import tell
from lightspeed.cluster.frames import CONTROL, Beat, Said, decode_frame
from lightspeed.cluster.peers import Peer
from lightspeed.cluster.redis import Keys, Link, connector, shown_url

_OLDEST = 7
_PUBSUB_LIMIT = (32 * 1024 * 1024, 8 * 1024 * 1024)  # what Redis itself has: a subscriber is cut at once, and after a while
_CLOCK_S = 1.0
_FORGET_S = 10.0  # a node without a lease that is silent for so long is shown no more


def check(options: argparse.Namespace) -> int:
    """Print what of the Redis matters to a cluster; returns the exit status.

    Raises:
        InvalidOption: it is no URL of a Redis.
    """
    return _with_redis(options.url, lambda make, _db: _check(Link(make)))


def watch(options: argparse.Namespace) -> int:
    """Print a line for each node each second; returns the exit status.

    Raises:
        InvalidOption: it is no URL of a Redis.
    """
    end_s = time.monotonic() + options.seconds if options.seconds else float("inf")
    return _with_redis(options.url, lambda make, db: _Watch(options.prefix, db, make).run(end_s, shown_url(options.url)))


def _with_redis(url: str, run: Callable[[Callable[[float], Any], int], int]) -> int:
    try:
        make, db = connector(url)
    except ImportError as error:
        tell(f"lightspeed: {error}")
        return 2
    from redis import RedisError

    try:
        return run(make, db)
    except RedisError as error:
        tell(f"lightspeed: {shown_url(url)}: {error}")
        return 2


# Check


def _check(link: Link) -> int:
    try:
        rows = list(_rows(link))
    finally:
        link.close()
    lines = [f"{name:<14}{escaped(value, None)}{f' - {against}' if against else ''}" for name, value, against in rows]
    is_fit = not any(against for _name, _value, against in rows)
    return 0 if say(*lines) and is_fit else 1


def _rows(link: Link) -> Iterator[tuple[str, str, str]]:
    """What it is about, what is so, and what is to be said against it."""
    (text,) = link.ask(("INFO",))
    about = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    version = about.get("redis_version", "unknown")
    number = version.split(".")[0]
    yield "version", version, "" if number.isdecimal() and int(number) >= _OLDEST else f"{_OLDEST} or later is needed"
    is_cluster = about.get("cluster_enabled") == "1"
    yield "mode", "Redis Cluster" if is_cluster else "single", "not supported: nodes refuse it" if is_cluster else ""
    most, policy = int(about.get("maxmemory", 0)), about.get("maxmemory_policy", "unknown")
    may_evict = bool(most) and policy != "noeviction"
    against = "leases may be evicted, and living nodes taken for dead: set maxmemory-policy to noeviction" if may_evict else ""
    yield "memory", f"{f'at most {most:,} bytes' if most else 'no limit'}, {policy}", against
    yield _buffer_row(link)
    begun_s = time.time()
    (clock,) = link.ask(("TIME",))
    ahead_s = int(clock[0]) + int(clock[1]) / 1e6 - (begun_s + time.time()) / 2
    off = "set the clocks: those of nodes give presences their times" if abs(ahead_s) > _CLOCK_S else ""
    yield "clock", f"{abs(ahead_s):.3f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's", off


def _buffer_row(link: Link) -> tuple[str, str, str]:
    from redis import ResponseError

    try:
        ((_name, text),) = link.ask(("CONFIG", "GET", "client-output-buffer-limit"))
    except ResponseError as error:
        return "pubsub buffer", f"not to be read: {error}", ""
    hard, soft, soft_s = (int(number) for number in re.findall(r"pubsub (\d+) (\d+) (\d+)", text.decode())[0])
    is_small = any(0 < limit < own for limit, own in zip((hard, soft), _PUBSUB_LIMIT, strict=True))
    against = "nodes that are slow are cut early: at least 32mb 8mb 60 is usual" if is_small else ""
    return "pubsub buffer", f"cut at {hard:,} bytes, or over {soft:,} for {soft_s} s", against


# Watch


class _Node(Struct):
    """What was seen of one node."""

    cluster: str
    peer: Peer
    heard_s: float
    beat_s: float | None = None
    said: int = 0
    """Broadcasts since the last line."""
    changed: int = 0


class _Watch:
    def __init__(self, prefix: str, db: int, make: Callable[[float], Any]) -> None:
        self._prefix, self._db = prefix, db
        self._ears, self._mouth = Link(make), Link(make)
        self._nodes: dict[str, _Node] = {}
        self._bad = 0

    def run(self, end_s: float, shown: str) -> int:
        from redis import RedisError

        stream = LineStream(sys.stdout)
        is_first, next_s = True, time.monotonic() + 1.0
        try:
            while time.monotonic() < end_s:
                try:
                    self._listen(min(next_s, end_s))
                    lines = list(self._lines(time.monotonic()))
                except RedisError as error:
                    if is_first:
                        raise
                    lines = [f"{shown}: {escaped(str(error), None)}"]
                    time.sleep(max(0.0, min(next_s, end_s) - time.monotonic()))
                    self._ears.close()
                is_first, next_s = False, max(next_s + 1.0, time.monotonic())
                stream.write([line.encode(errors="backslashreplace") for line in lines])
        except BrokenPipeError:
            pass  # whoever reads it has seen enough
        except OutputFailed as error:
            tell(f"lightspeed: cannot write standard output: {error}")
            return 1
        finally:
            self._ears.close()
            self._mouth.close()
        return 0

    def _listen(self, until_s: float) -> None:
        from redis import TimeoutError as Silence

        if not self._ears.is_open:
            # By a pattern: a subscriber by name would be taken for a node of the audience.
            pattern = re.sub(r"([\\*?\[\]])", r"\\\1", f"{self._prefix}{self._db}:")
            self._ears.ask(("PSUBSCRIBE", f"{pattern}*"))
        while (left_s := until_s - time.monotonic()) > 0:
            if self._ears.has_come(left_s):
                for message in self._ears.come(Silence):
                    if message[0] == b"pmessage":
                        self._take(message[2].decode(), message[3])
                    if time.monotonic() >= until_s:
                        break

    def _take(self, channel: str, raw: bytes) -> None:
        try:
            frame = decode_frame(raw)
        except BadFrame:
            self._bad += 1
            return
        now_s = time.monotonic()
        cluster = channel.removeprefix(f"{self._prefix}{self._db}:").rpartition(":")[0]
        node = self._nodes.setdefault(frame.boot, _Node(cluster, Peer(frame.boot), now_s))
        node.heard_s = now_s
        if frame.shard != CONTROL:
            for what in node.peer.take(frame.shard, frame.first, frame.items):  # type: ignore[arg-type]
                node.said += isinstance(what, Said)
                node.changed += not isinstance(what, (Said, int))
        elif isinstance(beat := frame.items[0], Beat):
            node.beat_s = now_s
            list(node.peer.check(beat))

    def _lines(self, now_s: float) -> Iterator[str]:
        """One a node: how it is, when it was heard, its lease, and what it published in the last second."""
        nodes = sorted(self._nodes.values(), key=lambda node: (node.cluster, node.peer.name, node.peer.boot))
        leases = [("PTTL", Keys(self._prefix, self._db, node.cluster).lease(node.peer.boot)) for node in nodes]
        for node, lease_ms in zip(nodes, self._mouth.ask(*leases) if leases else (), strict=True):
            beat = "no beat yet" if node.beat_s is None else f"beat {now_s - node.beat_s:.1f} s ago"
            lease = f"lease {lease_ms / 1000:.1f} s" if lease_ms > 0 else "no lease"
            rates = f"{node.said} broadcasts/s, {node.changed} changes/s, gaps {node.peer.gaps}"
            yield f"{node.cluster}/{node.peer.name or node.peer.boot}: {beat}, {lease}, {rates}"
            node.said = node.changed = 0
            if lease_ms <= 0 and now_s - node.heard_s > _FORGET_S:
                del self._nodes[node.peer.boot]
        if not nodes:
            yield "no node is heard"
        if self._bad:
            yield f"{self._bad} frames were none"
