"""A broadcast to many clients of a channel, whose readers are threads; beside it a `queue.Queue` for each."""

import queue
import threading
from collections.abc import Callable

from stopwatch import Stopwatch, expect

from lightspeed.channel import Broadcast, Client, Inbox, Leave, new_single_node

_AT_ONCE = 100
_ALL = 10**9


def broadcast(members: int, messages: int, readers: str, burst: int) -> dict[str, float]:
    """Deliveries per second, until the last reader has the last message.

    Args:
        readers: `each`, a thread for each client; or `one` thread that reads all of them in turn.
        burst: so many messages are told before their readers are waited for.
    """
    with new_single_node() as channel:
        clients = [channel.client(f"client {number}", "user", inbox=Inbox(max_messages=_ALL)) for number in range(members)]
        for client in clients:
            client.join("room")
        for client in clients:
            client.receive_many(_ALL, 0)  # the diffs

        def send() -> None:
            channel.tell(Broadcast("client 0", "room", "payload"))

        took = _timed([_reader(client) for client in clients], send, messages, readers, burst)
        channel.handle(Leave("nobody", "room"))
        return {"read": members * messages / took}


def queues(members: int, messages: int, readers: str, burst: int) -> dict[str, float]:
    """The same by hand: what a program without clients would write."""
    inboxes: list[queue.Queue[str]] = [queue.Queue() for _ in range(members)]

    def send() -> None:
        for inbox in inboxes:
            inbox.put("payload")

    def reader(inbox: "queue.Queue[str]") -> Callable[[int], int]:
        def read(most: int) -> int:
            got = 1
            inbox.get()
            while got < most:
                try:
                    inbox.get_nowait()
                except queue.Empty:
                    break
                got += 1
            return got

        return read

    took = _timed([reader(inbox) for inbox in inboxes], send, messages, readers, burst)
    return {"read": members * messages / took}


def _reader(client: Client) -> Callable[[int], int]:
    def read(most: int) -> int:
        return len(client.receive_many(min(most, _AT_ONCE)))

    return read


def _timed(reads: list[Callable[[int], int]], send: Callable[[], None], messages: int, readers: str, burst: int) -> float:
    """How long it takes until every reader has had every message, burst after burst."""
    bursts = [min(burst, messages - start) for start in range(0, messages, burst)]
    gate = threading.Barrier((len(reads) if readers == "each" else 1) + 1)
    got = [0] * len(reads)

    def run(mine: list[int]) -> None:
        for count in bursts:
            for number in mine:
                left = count
                while left:
                    left -= reads[number](left)
                got[number] += count
            gate.wait()

    shares = [[number] for number in range(len(reads))] if readers == "each" else [list(range(len(reads)))]
    threads = [threading.Thread(target=run, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    with Stopwatch() as watch:
        for count in bursts:
            for _ in range(count):
                send()
            gate.wait()
    for thread in threads:
        thread.join()
    expect(got == [messages] * len(reads), "a message is missing")
    return watch.seconds
