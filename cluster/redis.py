"""An engine over Redis 7: frames by its pub/sub, leases and names as keys that expire. Nothing else lies there.

Three threads, each with a connection of its own: one reads what comes, one publishes, one holds the lease. The reader says
whether the link is up; nothing is published before the node was told so, and has said whom it expects.
"""

import atexit
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.logs import log
from lightspeed.actors.process import WeakBag, in_forked_child
from lightspeed.cluster.engine import Listener, Parcel

_TIMEOUT_S = 2.0  # so long Redis may take over one answer
_LEASE_TIMEOUT_S = 0.5  # at least so long over a renewal: up to a third of the lease, so that there is time for another
_BACKOFF_S = 0.5  # a reconnect waits no longer: others wait for the audience 2 s at most
_AUDIENCE_S = 2.0
_AGAIN_S = 0.25  # between two looks whether a name is free, or the audience is there
_FRAMES = 1_000  # handed over at once, at most

# A name is claimed by whoever finds it free, and held while it is this boot's; the lease is this boot's alone.
_CLAIM = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RENEW = f"redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])\n{_CLAIM}"
_DROP = """
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class Keys:
    """How channels and keys are named: all begin with the prefix. Pub/sub knows no databases, so their number is in it too."""

    def __init__(self, prefix: str, db: int, cluster: str) -> None:
        self._begin = f"{prefix}{db}:{cluster}:"

    def channel(self, number: int) -> str:
        return f"{self._begin}{number}"

    def name(self, name: str) -> str:
        return f"{self._begin}name:{name}"

    def lease(self, boot: str) -> str:
        return f"{self._begin}lease:{boot}"


class Link:
    """One connection to Redis, made when it is first needed. One thread uses it; any may cut it.

    Args:
        make: what makes a connection of redis-py's that is not connected yet, and how long an answer may take.
    """

    def __init__(self, make: Callable[[float], Any]) -> None:
        self._make, self.timeout_s = make, _TIMEOUT_S
        self.connection: Any = None

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send all in one write, and return the answers. Whatever it raises, the link is closed then."""
        try:
            self.send(*commands)
            return [self.connection.read_response() for _ in commands]
        except BaseException:
            self.close()
            raise

    def send(self, *commands: tuple[Any, ...]) -> None:
        if self.connection is None:
            self.connection = self._make(self.timeout_s)
            self.connection.connect()
        self.connection.send_packed_command(self.connection.pack_commands(commands), check_health=False)

    @property
    def is_open(self) -> bool:
        return self.connection is not None

    def has_come(self, timeout_s: float) -> bool:
        """Wait so long for something to read, or the link's end."""
        return bool(self.connection.can_read(timeout=timeout_s))

    def come(self, timeouts: type[BaseException]) -> Iterator[Any]:
        """What has come, and at least one message, if one comes in time. Of half a message the rest comes next time."""
        with suppress(timeouts):
            yield self.connection.read_response(disconnect_on_error=False)
            while self.has_come(0):
                yield self.connection.read_response(disconnect_on_error=False)

    def cut(self) -> None:
        """Whoever waits for it waits no longer. redis-py's own `disconnect` is for the thread that uses it."""
        wire = getattr(self.connection, "_sock", None)
        if wire is not None:
            with suppress(OSError):
                socket.socket.shutdown(wire, socket.SHUT_RDWR)  # of TLS too: its own would touch what another thread reads

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.disconnect()

    def let_go(self) -> None:
        """In a forked child: close its copy, and leave the parent's as it is."""
        wire = getattr(self.connection, "_sock", None)
        if wire is not None:
            wire.close()


class RedisEngine:
    """An `Engine` over one Redis, version 7 or later. It is for one channel alone. Nothing connects before that is made.

    Whoever may publish there may forge frames: give the nodes a user of their own. All that they need, with the default prefix:
    `ACL SETUSER node on >secret resetchannels ~lightspeed:* &lightspeed:* +subscribe +publish +pubsub +eval +get +set +del +info
    +select +ping`.

    Args:
        url: `redis://`, with TLS `rediss://`, or `unix://`, as redis-py reads them, with user, password and database. No
            Sentinel, for which redis-py has no URL, and no Redis Cluster, which is refused when the channel is made.
        prefix: what the names of all keys and channels begin with. Default `lightspeed:`.

    Raises:
        ImportError: redis-py is not installed; it says how to.
        InvalidOption: it is no such URL, or the prefix is no str.
    """

    has_leases = True
    most_bytes = 1_000_000

    def __init__(self, url: str, *, prefix: str = "lightspeed:") -> None:
        self._link, self._db = connector(url)
        if type(prefix) is not str:
            raise InvalidOption("prefix", prefix, "must be a str")
        from redis import exceptions

        self._errors = exceptions
        self._prefix, self._shown_url = prefix, shown_url(url)
        self._reader, self._publisher, self._keeper = (Link(self._link) for _ in range(3))
        self._to_publish: SimpleQueue[Any] = SimpleQueue()
        """Batches; numbers of nodes to expect, each with the number of the link; None: the end."""
        self._to_keep: SimpleQueue[Any] = SimpleQueue()
        """`renew`, `drop`, the boot whose lease is to be read after a space; None: the end."""
        self._threads: list[threading.Thread] = []
        self._is_closed = threading.Event()
        self._end_s = 0.0
        self._is_up, self._links, self._expected = False, 0, -1
        """Whether the reader is subscribed; how often it was not any more; of which link it is known who is expected."""
        self._is_claimed = self._was_refused = False
        _engines.add(self)

    def __repr__(self) -> str:
        return f"<RedisEngine {self._shown_url}>"

    # As an Engine

    def open(self, cluster: str, name: str, boot: str, channels: int, listener: Listener, lease_s: float) -> None:
        self._cluster, self._name, self._boot, self._listener = cluster, name, boot, listener
        self._keys, self._lease_s = Keys(self._prefix, self._db, cluster), lease_s
        self._keeper.timeout_s = min(_TIMEOUT_S, max(_LEASE_TIMEOUT_S, lease_s / 3))
        self._channels = [self._keys.channel(number) for number in range(channels)]
        try:
            for run in (self._read, self._publish, self._keep):
                thread = threading.Thread(target=run, name=f"lightspeed redis {run.__name__[1:]} {name}", daemon=True)
                thread.start()
                self._threads.append(thread)
        except BaseException:  # Python's own: no thread can be started
            self.close(0.0)
            raise

    def publish(self, parcels: Sequence[Parcel]) -> None:
        self._to_publish.put(parcels)

    def renew(self) -> None:
        self._to_keep.put("renew")

    def read_lease(self, boot: str) -> None:
        self._to_keep.put(f"read {boot}")

    def drop_lease(self) -> None:
        self._to_keep.put("drop")

    def reconnect(self, why: str) -> None:
        log("warning", "cluster {}: {} connects anew: {}", self._cluster, self._name, why)
        self._reader.cut()
        self._publisher.cut()

    def expect(self, nodes: int) -> None:
        self._to_publish.put((nodes, self._links))

    def close(self, timeout_s: float) -> None:
        """It does not wait; but the process's end does, so that what was handed over goes out."""
        self._end_s = time.monotonic() + timeout_s
        if self._threads:
            atexit.register(self._await_end)
        self._to_publish.put(None)
        self._to_keep.put(None)
        self._is_closed.set()
        self._reader.cut()

    def _await_end(self) -> None:
        for thread in self._threads:
            thread.join(max(0.0, self._end_s - time.monotonic()))

    # Reading

    def _read(self) -> None:
        attempts = 0
        while not self._is_closed.is_set():
            try:
                self._join()
                attempts = 0
                while not self._is_closed.is_set():
                    self._hand_over()
            except (self._errors.RedisError, OSError) as error:
                if self._is_up or not attempts:
                    log("warning", "cluster {}: {} has no link to {}: {}", self._cluster, self._name, self._shown_url, error)
                if isinstance(error, (self._errors.AuthenticationError, self._errors.NoPermissionError)):
                    self._refuse(f"must let this node in: {error}")
            if not self._is_closed.is_set():  # else what was handed over has yet to go out
                self._go_down()
                attempts += 1
                self._back_off(attempts)
        self._end()

    def _join(self) -> None:
        """Claim the name, subscribe, and say so, once all is acknowledged."""
        (about,) = self._reader.ask(("INFO", "cluster"))
        if b"cluster_enabled:1" in about:
            self._refuse("must not be a Redis Cluster: it is not supported")
            raise self._errors.ConnectionError("a Redis Cluster")
        self._claim()
        if self._is_closed.is_set():
            return
        self._reader.send(("SUBSCRIBE", *self._channels))
        for _ in self._channels:
            self._reader.connection.read_response()
        self._is_up = True
        log("info", "cluster {}: {} is linked to {}", self._cluster, self._name, self._shown_url)
        self._listener.link(up=True)

    def _claim(self) -> None:
        since_s = time.monotonic()
        while not self._is_claimed and not self._is_closed.is_set():
            (claimed,) = self._reader.ask(self._script(_CLAIM))
            self._is_claimed = bool(claimed)
            if not claimed and time.monotonic() - since_s > self._lease_s + 1.0:
                self._refuse("")
            if not claimed:
                self._is_closed.wait(_AGAIN_S)

    def _refuse(self, why: str) -> None:
        """Once. It goes on trying: nobody may wait for the answer any more."""
        if not self._is_claimed and not self._was_refused:
            self._was_refused = True
            self._listener.refused(why)

    def _hand_over(self) -> None:
        frames: list[bytes] = []
        try:
            for kind, _channel, frame in self._reader.come(self._errors.TimeoutError):
                if kind == b"message":
                    frames.append(frame)
                if len(frames) == _FRAMES:
                    break
        finally:  # what came before the link broke has come
            if frames:
                self._listener.frames(frames)

    def _go_down(self) -> None:
        self._is_up = False
        self._links += 1
        self._reader.close()
        self._listener.link(up=False)

    def _back_off(self, attempts: int) -> None:
        """Full jitter, so that not all nodes come at once."""
        self._is_closed.wait(random.uniform(0.0, min(_BACKOFF_S, 0.05 * 2 ** min(attempts, 10))))

    def _end(self) -> None:
        """See that the others end in time."""
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, self._end_s - time.monotonic()))
        self._publisher.cut()
        self._keeper.cut()
        for thread in others:
            thread.join()
        self._reader.close()
        atexit.unregister(self._await_end)

    # Publishing

    def _publish(self) -> None:
        attempts = 0
        while (work := self._to_publish.get()) is not None:
            if isinstance(work, tuple):
                nodes, links = work
                self._await_audience(nodes, links)
                self._expected = links
                continue
            ok = self._is_up and self._expected == self._links and self._try_to_publish(work)
            attempts = 0 if ok or not self._is_up else attempts + 1
            if attempts:
                self._back_off(attempts)
            self._listener.published(ok=ok)
        self._publisher.close()

    def _try_to_publish(self, parcels: Sequence[Parcel]) -> bool:
        try:
            self._publisher.ask(*(("PUBLISH", self._channels[channel], frame) for channel, frame in parcels))
        except (self._errors.RedisError, OSError) as error:
            log("warning", "cluster {}: {} could not publish: {}", self._cluster, self._name, error)
            return False
        return True

    def _await_audience(self, nodes: int, links: int) -> None:
        control, end_s = self._channels[-1], time.monotonic() + _AUDIENCE_S
        while links == self._links and time.monotonic() < end_s and not self._is_closed.is_set():
            with suppress(self._errors.RedisError, OSError):
                ((_channel, subscribed),) = self._publisher.ask(("PUBSUB", "NUMSUB", control))
                if subscribed >= nodes:
                    return
            self._is_closed.wait(_AGAIN_S / 5)

    # The lease

    def _keep(self) -> None:
        asked: dict[Any, None] = {}
        while None not in asked:
            asked = {self._to_keep.get(): None}
            with suppress(Empty):
                while True:
                    asked[self._to_keep.get_nowait()] = None  # what was asked twice while Redis was away is asked once
            for what in asked:
                if what is not None and not self._answer(what):
                    break
        self._keeper.close()

    def _answer(self, what: str) -> bool:
        call, _space, boot = what.partition(" ")
        try:
            if call == "renew":
                (is_named,) = self._keeper.ask(self._script(_RENEW))
                if not is_named:
                    log("warning", "cluster {}: another node has the name {} too", self._cluster, self._name)
                self._listener.renewed(ok=True)
            elif call == "read":
                (lease,) = self._keeper.ask(("GET", self._keys.lease(boot)))
                self._listener.lease(boot, alive=lease is not None)
            else:
                self._keeper.ask(self._script(_DROP))
        except (self._errors.RedisError, OSError) as error:
            log("info", "cluster {}: {} could not {} the lease: {}", self._cluster, self._name, call, error)
            self._listener.renewed(ok=False)
            return False
        return True

    def _script(self, text: str) -> tuple[Any, ...]:
        keys = self._keys.name(self._name), self._keys.lease(self._boot)
        return ("EVAL", text, 2, *keys, self._boot, max(1, int(self._lease_s * 1000)))


def connector(url: str) -> tuple[Callable[[float], Any], int]:
    """What makes a connection to this Redis, whose every answer may take so long; and the number of its database.

    Raises:
        ImportError, InvalidOption: as of `RedisEngine`.
    """
    try:
        import redis.backoff
        import redis.connection
        import redis.retry
    except ImportError as error:
        raise ImportError("RedisEngine needs redis-py: pip install 'lightspeed-channels[redis]'", name=error.name) from error
    rule = "must begin with redis://, rediss:// or unix:// (Sentinel has no URL), with options of a connection in redis-py"
    try:
        parse_url: Any = redis.connection.parse_url  # it has no types
        options: dict[str, Any] = dict(parse_url(url))
        kind: Any = options.pop("connection_class", redis.connection.Connection)
        # Its defaults are others from version to version. It is to try once: who reconnects, and when, is said above.
        options |= {
            "protocol": 2,
            "decode_responses": False,
            "health_check_interval": 0,
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        }
        kind(**options)
    except (ValueError, TypeError, AttributeError, redis.RedisError) as error:
        raise InvalidOption("url", shown_url(url), f"{rule} ({error})") from None

    def make(timeout_s: float) -> Any:
        return kind(**options | {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s})

    return make, int(options.get("db") or 0)


def shown_url(url: str) -> str:
    """The URL without its user, password and options, which are nobody's business."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except (ValueError, TypeError, AttributeError):
        return type(url).__name__


_engines: WeakBag[RedisEngine] = WeakBag()


@in_forked_child
def _let_go() -> None:
    _engines.renew_lock()
    for engine in _engines:
        for link in (engine._reader, engine._publisher, engine._keeper):
            link.let_go()
