"""The chat room that docs/guide.md builds, as one program: who may come in, who is told what, and what outlives a failure."""

from queue import SimpleQueue

from lightspeed.channel import Behaviour, Broadcast, Channel, Crash, Join, Leave, Outbound, Push, Restart, Room, encode


class Chat(Behaviour):
    """Two at most, who see one another type, and are reminded when they want to be."""

    def __init__(self, said: list[str]) -> None:
        self.said = said  # passed in, as a database would be: it outlives this instance

    def on_join(self, room: Room, client_id: str, user_id: str) -> None:
        if len(room.members) > 2:
            room.refuse("full")

    def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        self.said.append(payload)
        room.broadcast(f"{len(self.said)}. {room.user_of(client_id)}: {payload}")

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        if event == "typing":
            room.broadcast(f"{room.user_of(client_id)} is typing", but=client_id)
        elif event == "who":
            room.reply(", ".join(room.user_of(member) for member in room.members))
        elif event == "remind":
            room.start_timer(client_id, float(payload))  # float() fails on what is no number, and with it the room
            room.reply("noted")
        else:
            room.refuse(f"what is {event}?")

    def on_timer(self, room: Room, name: str) -> None:
        room.push(name, "reminder", "it is time")

    def on_leave(self, room: Room, client_id: str) -> None:
        room.cancel_timer(client_id)


def main() -> None:
    said: list[str] = []
    sent: SimpleQueue[Outbound] = SimpleQueue()
    with Channel(behaviours={"room:*": lambda: Chat(said)}, rejoin="supervisor", on_outbound=sent.put) as channel:
        for number, name in enumerate(("ann", "bob", "cid")):
            channel.handle(Join(name, "room:1", name, now_ms=number))
        channel.handle(Push("ann", "room:1", "typing", ""))
        channel.handle(Broadcast("ann", "room:1", "hello"))
        channel.handle(Push("bob", "room:1", "remind", "soon"))  # the room fails, and comes up again with its members
        channel.handle(Leave("ann", "room:1"))
        channel.handle(Crash("new price list", "room:1"))
        channel.handle(Restart("room:1"))
        channel.handle(Broadcast("bob", "room:1", "good to be back"))
        print(channel.tree())
    while not sent.empty():
        print(encode(sent.get()).decode())


if __name__ == "__main__":
    main()
