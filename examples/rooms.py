"""A room with a mind of its own: it turns people away, edits what they say, fails, and comes back knowing what was said."""

from lightspeed.channel import Behaviour, Broadcast, Channel, Join, Leave, Outbound, PresenceDiff, Push, Room, encode

ARCHIVE: list[str] = []  # what must survive a failure is kept outside of the room; a real one would be a database


class ReadingRoom(Behaviour):
    """Two people at most, who whisper."""

    def on_start(self, room: Room) -> None:
        self.lines = list(ARCHIVE)

    def on_join(self, room: Room, client_id: str, user_id: str) -> None:
        if len(room.members) > 2:
            room.refuse("full")
        else:
            room.reply(f"hush, {user_id}; {len(self.lines)} said")

    def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        self.lines.append(payload)
        ARCHIVE[:] = self.lines
        room.broadcast(payload.lower())

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        room.reply(str(self.lines[int(payload)]))  # int() fails on what is no number, and with it the room


def show(messages: list[Outbound]) -> None:
    for message in messages:
        if not isinstance(message, PresenceDiff):
            print("  " + encode(message).decode())


with Channel(behaviours={"reading:*": ReadingRoom}, rejoin="supervisor") as channel:
    for title, event in (
        ("Ann comes in.", Join("c1", "reading:1", "ann", 1)),
        ("Ben comes in.", Join("c2", "reading:1", "ben", 2)),
        ("For Cai there is no room.", Join("c3", "reading:1", "cai", 3)),
        ("Ann shouts.", Broadcast("c1", "reading:1", "FIRE")),
        ("Ben asks for line 0.", Push("c2", "reading:1", "line", "0")),
        ("Ben asks for nonsense. The room fails, and comes back with both.", Push("c2", "reading:1", "line", "first")),
        ("Ann leaves.", Leave("c1", "reading:1")),
        ("Now Cai may come in; the room remembers what was said.", Join("c3", "reading:1", "cai", 4)),
    ):
        print(title)
        channel.handle(event)
        show(channel.flush_outbox())
