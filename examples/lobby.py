"""A lobby that heals: its games are kept outside and loaded after a crash, and its clients come back by themselves."""

from lightspeed.channel import Behaviour, Channel, Client, PushMessage, Refused, Room, TopicDown, TopicUp

KEPT: dict[str, dict[str, str]] = {}  # lobby -> its open games, and who opened them; a real one would be a database


class Lobby(Behaviour):
    def on_start(self, room: Room) -> None:
        self.games: dict[str, str] = {}  # everybody had left: a new day

    def on_restart(self, room: Room, reason: str) -> None:
        self.games = dict(KEPT.get(room.topic, {}))

    def on_join(self, room: Room, client_id: str, user_id: str) -> None:  # and on_rejoin, which calls it
        room.push(client_id, "games", ", ".join(f"{game} by {user}" for game, user in self.games.items()) or "none")

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        if event == "open":
            self.games[payload] = room.user_of(client_id)
            room.reply(f"number {('one', 'two')[len(self.games) - 1]}")  # over a third it raises: the lobby fails
        elif payload in self.games:
            room.reply(f"against {self.games.pop(payload)}")
        else:
            room.refuse(f"no game {payload}")
        KEPT[room.topic] = dict(self.games)  # last of all: what made it fail is not kept


def read_on(client: Client) -> None:
    """What the client is told, until it is in the lobby and knows its games."""
    for message in client:
        if isinstance(message, (TopicDown, TopicUp, PushMessage)):
            print(f"  {message}")
        if isinstance(message, PushMessage):
            return


def attempt(client: Client, event: str, game: str) -> None:
    try:
        print(f"{client.user_id} will {event} {game}: {client.push('lobby:1', event, game)}")
    except Refused as refused:
        print(f"{client.user_id} will {event} {game}: {refused}")


with (
    Channel(behaviours={"lobby:*": Lobby}) as channel,
    channel.client("phone", "ann", meta="red") as ann,
    channel.client("laptop", "bob", meta="blue") as bob,
):
    for client in (ann, bob):
        client.join("lobby:1")
        read_on(client)
    for client, event, game in ((ann, "open", "chess"), (bob, "open", "go"), (ann, "open", "skat")):
        attempt(client, event, game)
    read_on(ann)  # they come back, each in its own time
    read_on(bob)
    attempt(bob, "play", "chess")
    attempt(ann, "play", "skat")
    print("there:", sorted(f"{user} in {metas[0].meta}" for user, metas in ann.presence("lobby:1").items()))
