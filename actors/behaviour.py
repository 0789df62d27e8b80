"""What a kind of topic does: the user's own code in a topic."""

from lightspeed.actors.room import Room


class Behaviour:
    """The hooks of a topic of one kind; as it stands it is the plain relay. Subclass it, and override what differs.

    Each topic has an instance of its own, and so has each incarnation: what it keeps in `self` is the actor's, and dies with it.
    One event at a time is handled. A hook is a plain function: it says what is to happen through `room`, which is good in its own
    call only, and returns None. Whatever it raises, and anything else that it returns, fails the topic; then the event has had no
    effect, and its client is told `topic_crashed`.

    Hooks run on a worker that is replaced when one blocks: the next may run on another thread. What is tied to the thread that
    made it, such as a connection of `sqlite3`, needs a topic with a thread of its own: the channel's `own_thread`. A hook that
    takes longer than the channel's `event_timeout_s` is given up, and the topic comes up again without it.
    """

    def on_start(self, room: Room) -> None:
        """Before the first event of the first incarnation."""

    def on_restart(self, room: Room, reason: str) -> None:
        """Before the first event of an incarnation after one that failed or was crashed, in place of `on_start`.

        It is for loading what must survive. By default it calls `on_start`.

        Args:
            reason: what the incarnation before failed of, as `<class>: <text>`; or the reason of the `Crash` that was ordered.
        """
        self.on_start(room)

    def on_join(self, room: Room, client_id: str, user_id: str) -> None:
        """A client comes, by a join or a rejoin, or is brought back; it stands in `room.members`. `room.refuse` keeps it out."""

    def on_leave(self, room: Room, client_id: str) -> None:
        """A client goes; it stands in `room.members` no more. It can't be kept."""

    def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        """A member sends something to all. By default they get it."""
        room.broadcast(payload)

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        """A member sends something to the topic. By default it gets it back, as a `PushMessage`."""
        room.push(client_id, event, payload)

    def on_timer(self, room: Room, name: str) -> None:
        """A timer that was started with `room.start_timer` is due."""

    def on_stop(self, room: Room) -> None:
        """The topic is stopped, since nobody is in it or the channel is closed. Not called where it fails or is crashed.

        What is given out here reaches nobody, and is a dead letter.
        """
