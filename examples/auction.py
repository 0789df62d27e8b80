"""An auction in a room, with a bug: docs/tutorial.md finds it, by `lightspeed simulate examples/auction.py:auction`."""

from lightspeed.channel import Behaviour, BroadcastMessage, Room
from lightspeed.testing import Simulation, search


class Auction(Behaviour):
    """The highest bid leads."""

    def __init__(self, kept: dict[str, int] | None = None) -> None:
        self.bids = {} if kept is None else kept

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        bid, highest = int(payload), self.bids.get("highest", 0)
        if bid <= highest:
            room.refuse(f"{highest} is bid")
            return
        self.bids["highest"] = bid
        room.reply("you lead")
        room.broadcast(payload)


def auction(simulation: Simulation, kept: dict[str, int] | None = None) -> None:
    """Three bidders, one of whom can't write numbers; what leads may only rise."""
    channel = simulation.channel(behaviours={"auction:*": lambda: Auction(kept)}, rejoin="supervisor")
    clients = [simulation.client(channel, name) for name in ("ann", "bob", "cid")]
    for client in clients:
        client.join("auction:1")
        for _ in range(4):
            client.push("auction:1", "bid", simulation.random.choice(["1", "2", "3", "5", "8", "lots"]))

    def bids_rise() -> bool:
        leads = [int(message.payload) for message in clients[0].received if isinstance(message, BroadcastMessage)]
        return leads == sorted(set(leads))

    simulation.always(bids_rise)
    simulation.run_for(60)


def kept_auction(simulation: Simulation) -> None:
    """The same, with the bids kept where a failure does not reach them."""
    auction(simulation, kept={})


if __name__ == "__main__":
    for play in (auction, kept_auction):
        found = search(play, range(200))
        print(f"{play.__name__}:", "nothing failed" if found is None else f"seed {found.case.seed} failed: {found.error}")
