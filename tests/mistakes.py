"""Mistaken calls, each of which a type checker must find: a line that is wrong ends in `# wrong`."""

import pykka

from lightspeed.actors import PooledActor
from lightspeed.channel import Backoff, Channel, Inbox, Join, Mailbox, Push, Reply, Restarts, new_cluster_ready, new_single_node
from lightspeed.supervision import AsyncSupervisor, ChildSpec, Supervisor


class Worker(PooledActor):
    def __init__(self, name: str, *, size: int = 1) -> None:
        super().__init__()
        self.name, self.size = name, size


def calls() -> None:
    channel = new_single_node(timeout_s=3)
    channel.handle(Join("c", "t", "u", 1))
    worker: pykka.ActorRef[PooledActor] = Worker.start("w", size=2)
    Supervisor.start([ChildSpec("w", (Worker, ("w",), {"size": 2}))], strategy="rest_for_one", backoff=Backoff()).stop()
    worker.stop()
    client = channel.client("c", "u", meta="red", inbox=Inbox(overflow="close"), take_over=True)
    client.join("t", "blue")
    [message.topic for message in client.receive_many(3, 0.5) if isinstance(message, Reply)]

    new_single_node(timeout=3)  # wrong
    new_cluster_ready("node", "cluster", rejoin="server")  # wrong
    Channel(restarts=Backoff())  # wrong
    Restarts(intensity="3")  # wrong
    channel.handle(Join("c", "t", "u"))  # wrong
    channel.tell("join")  # wrong
    channel.handle(Push("c", "t", 1, "p"))  # wrong
    Reply("c", "t", "okay", "joined")  # wrong
    Worker.start("w", sizes=2)  # wrong
    Supervisor.start([], strategy="one_for_two")  # wrong
    channel.client("c", "u", inbox=100)  # wrong
    Inbox(overflow="drop")  # wrong
    Channel(mailboxes={"x": Mailbox(overflow="block")})  # wrong
    client.join(3)  # wrong
    client.receive("soon")  # wrong
    client.broadcast("t", "p", name="greet")  # wrong


async def poll(name: str = "poll") -> None:
    raise NotImplementedError


def plain() -> int:
    return 3


async def tasks() -> None:
    supervisor = AsyncSupervisor([ChildSpec("a", poll), ChildSpec("b", (poll, ("b",), {})), ChildSpec("c", lambda: poll("c"))])
    async with supervisor:
        (await supervisor.wait_up("a")).is_alive()
        await supervisor.start_child(ChildSpec("d", (Supervisor, ([ChildSpec("e", poll)],), {})), timeout_s=3)
        await supervisor.child("d/e").tell("hello")

    AsyncSupervisor([], auto_shutdown="sometimes")  # wrong
    AsyncSupervisor([], pool=None)  # wrong
    AsyncSupervisor([poll])  # wrong
    ChildSpec("f", plain)  # wrong
    ChildSpec("g", poll("g"))  # wrong
    supervisor.wait_up("a").is_alive()  # wrong
    await supervisor.stop(timeout=3)  # wrong
    await supervisor.start_child("h", poll)  # wrong
