"""Make rooms fail by a key, and watch their supervisor heal them. The live view needs the extra: pip install '.[demo]'"""

import argparse
import sys
from os.path import isfile
from pathlib import Path

from heal_script import play

from lightspeed.channel import Backoff, Behaviour, Channel, Crash, Join, Pool, Push, Restart, Restarts, Room

HELP = "Keys: 1 to 5, that room fails; c, the channel crashes; r, restart what is down; q, quit."
RESTARTS = Restarts(intensity=3, period_s=60, backoff=Backoff(floor_s=1, cap_s=4, jitter=0))  # after 1 s, 2 s, 4 s; then given up


class Frail(Behaviour):
    def on_push(self, room: Room, client_id: str, event: str, payload: str) -> None:
        raise RuntimeError(payload)


def open_rooms(runtime: Pool) -> Channel:
    channel = Channel(behaviours={"room:*": Frail}, restarts=RESTARTS, rejoin="supervisor", runtime=runtime)
    for number in range(1, 6):
        channel.handle(Join("phone", f"room:{number}", "ann", now_ms=number))
    return channel


def press(channel: Channel, key: str) -> None:
    phases = {str(topic.id): topic.phase for topic in channel.tree().children}
    if key == "c":
        channel.handle(Crash("key c"))
    elif key == "r":
        channel.handle(Restart())
        for topic in (topic for topic, phase in phases.items() if phase == "given_up"):
            channel.handle(Restart(topic))
    elif phases.get(f"room:{key}") == "running":  # while it is put off it would have to be waited for
        channel.handle(Push("phone", f"room:{key}", "fail", f"key {key}"))
    channel.flush_outbox()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, epilog=HELP)
    parser.add_argument("--script", metavar="KEYS", help="play these keys, or those in the file of this name; a dot is a second")
    script = parser.parse_args().script
    if script is not None:
        keys = "".join((Path(script).read_text("utf-8", "replace") if isfile(script) else script).split())
        if strange := "".join(sorted(set(keys) - set("12345crq."))):
            parser.error(f"argument --script: neither a file nor keys: {strange!r}. {HELP} A dot is a second.")
        play(keys, open_rooms, press)
        sys.exit()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        parser.error("there is no terminal to read keys from and to paint on; without one, give a --script")
    try:
        from heal_screen import watch
    except ImportError as missing:
        parser.error(f"no live view: {missing}; rich comes with the extra: pip install '.[demo]'")
    with open_rooms(Pool()) as channel:
        sys.exit(watch(channel, press, HELP))
