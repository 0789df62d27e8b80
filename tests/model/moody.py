"""A behaviour for random scenarios: it does all that one may, and fails now and then, by what it has seen and nothing else."""

import asyncio
from typing import Any

from lightspeed.channel import Behaviour, Room


class Moody(Behaviour):
    """Every seventh event is too many for it."""

    def __init__(self) -> None:
        self.events, self.ticks, self.most = 0, 0, 3

    def on_start(self, room: Room) -> None:
        room.start_timer("tick", 1.0)
        room.broadcast("open")

    def on_restart(self, room: Room, reason: str) -> None:
        self.events, self.most = len(reason) % 7, 2  # who was the third is not let in again
        room.start_timer("tick", 0.5)

    def on_join(self, room: Room, client_id: str, user_id: str) -> None:
        self._count()
        if len(room.members) > self.most:
            room.refuse("full")
            return
        room.start_timer("nap", 2.618)  # besides the other one, and never due with it
        if self.events % 3:
            room.reply(f"welcome, {user_id}")
        room.broadcast(f"{client_id} is here", but=client_id)

    def on_rejoin(self, room: Room, client_id: str, user_id: str) -> None:
        if self.events % 5 == 4:
            self.events += 1
            room.refuse("not now")
        else:
            self.on_join(room, client_id, user_id)

    def on_publish(self, room: Room, payload: str) -> None:
        self._count()
        room.broadcast(f"{payload}, {room.event}", event=room.event)
        if self.events % 2:
            room.remove(room.members[0], "it was the first")

    def on_leave(self, room: Room, client_id: str) -> None:
        self._count()
        room.broadcast(f"{client_id} is gone")
        if self.events % 2:
            room.reply("farewell")

    def on_broadcast(self, room: Room, client_id: str, payload: str) -> None:
        self.events += 1
        if self.events % 7 == 0:
            room.push("nobody", "e", payload)
        if self.events % 2:
            room.broadcast(payload.upper())
        else:
            room.refuse("quiet, please")

    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        self.events += 1
        room.reply(payload)
        if self.events % 5 == 0:
            room.remove(client_id, "too many words")
            return
        if self.events % 7 == 0:
            room.refuse("a second answer, which is one too many")
        for member in room.members:
            room.push(member, event, payload)
        if self.events % 3 == 0:
            room.cancel_timer("tick")

    def on_timer(self, room: Room, name: str) -> None:
        room.broadcast(name)
        if name != "tick":
            return
        self.ticks += 1
        if self.ticks < 5:
            room.start_timer(name, self.ticks)
        elif self.ticks == 5 and self.events % 2:
            raise RuntimeError("five ticks are enough")

    def on_stop(self, room: Room) -> None:
        if self.events % 2:
            room.broadcast("closing")
            room.broadcast("closed")

    def _count(self) -> None:
        self.events += 1
        if self.events % 7 == 0:
            raise RuntimeError("the seventh is too many")


class MoodyLater(Behaviour):
    """The same, in good time: each hook waits for a while before it does anything, and now and then for ever."""

    def __init__(self) -> None:
        self.moody, self.waits = Moody(), 0

    async def _do(self, hook: str, room: Room, *args: Any) -> None:
        self.waits += 1
        if self.waits % 9 == 0:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep((0, 0.05, 0, 0.7)[self.waits % 4])
        getattr(self.moody, hook)(room, *args)


def _later(hook: str) -> Any:
    async def do(self: MoodyLater, room: Room, *args: Any) -> None:
        await self._do(hook, room, *args)

    return do


for _hook in (name for name in vars(Behaviour) if name.startswith("on_")):
    setattr(MoodyLater, _hook, _later(_hook))
