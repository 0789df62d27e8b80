"""Ways in which a program with channels and actors ends: no traceback, no hang, its own status, what was accepted is done."""

import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

KINDS = {"pool": "Pool()", "threads": "Threads()"}
LASTS_S = 15  # far above what each takes, the drain's 5 s included, on a machine that is busy

CHANNEL = """
import atexit, os, signal, sys, threading, time, weakref
from lightspeed.channel import *
channel = Channel(runtime={kind})
channel.handle(Join("c", "room", "u", 1))
for n in range(9): channel.tell(Broadcast("c", "room", str(n)))
def end(): channel.close(); print("closed", len(channel.flush_outbox()), flush=True)
"""
CLOSED = "closed 11"

ACTORS = """
import atexit, sys, threading, time
import pykka
from lightspeed.actors import ActorPool, PooledActor, Supervisable
from lightspeed.supervision import ChildSpec, Supervisor
class Worker(PooledActor):
    def on_receive(self, message):
        time.sleep(0.01)
        print(message, flush=True)
        return message
class Thread(Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True
    def on_receive(self, message):
        return message
class Other(PooledActor):
    def __init__(self, pool):
        super().__init__(pool=pool)
    def on_receive(self, message):
        to, left = message
        to.tell((self.actor_ref, left - 1)) if left else print("done", flush=True)
class Hangs(PooledActor):
    def on_receive(self, message):
        time.sleep(60)
"""

# By name: what the program does, what it prints, its exit status.
WITH_CHANNEL = {
    "a handler at exit closes": ("atexit.register(end)", CLOSED, 0),
    "threading's own handler closes": ("threading._register_atexit(end)", CLOSED, 0),
    "a finalizer closes": ("class Thing: pass\nthing = Thing(); weakref.finalize(thing, end)", CLOSED, 0),
    "a __del__ closes when all threads have stopped": (
        "class Thing:\n def __del__(self, close=channel.close, say=print):\n  close(); say('closed', flush=True)\nt = Thing()",
        "closed",
        0,
    ),
    "a thread outlives main and closes": (
        "def late():\n time.sleep(0.2); channel.tell(Leave('c', 'room')); end()\nthreading.Thread(target=late).start()",
        "closed 13",
        0,
    ),
    "a SIGTERM handler closes in the middle of a tell": (
        "def term(*_): channel.close(); sys.exit(7)\nsignal.signal(signal.SIGTERM, term)\n"
        "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "while True: channel.tell(Broadcast('c', 'room', 'x'))",
        "",
        7,
    ),
    "nobody closes": ("", "", 0),
    "nobody closes, and sys.exit": ("sys.exit(3)", "", 3),
    "os._exit": ("os._exit(5)", "", 5),
    "a handler at exit reads": (
        "atexit.register(lambda: print(channel.membership_count, channel.topics(), flush=True))",
        "1 ('room',)",
        0,
    ),
}
WITH_ACTORS = {
    "told before the end": ("ref = Worker.start()\nfor n in range(4): ref.tell(n)", "0\n1\n2\n3", 0),
    "told before the end, on pools of one's own": (
        "pools = [ActorPool(), ActorPool()]\none, two = map(Other.start, pools)\none.tell((two, 200))",
        "done",
        0,
    ),
    "told in a handler at exit": ("ref = Worker.start()\natexit.register(lambda: [ref.tell(n) for n in range(3)])", "0\n1\n2", 0),
    "asked and stopped in a handler at exit": (
        "ref = Worker.start()\n@atexit.register\ndef _():\n"
        " print(ref.ask(1), ref.ask(2, timeout=5), ref.ask(3, block=False).get(timeout=5), ref.stop(), flush=True)",
        "1\n2\n3\n1 2 3 True",
        0,
    ),
    "a supervisor stopped in a handler at exit": (
        "tree = Supervisor.start([ChildSpec('a', Worker), ChildSpec('b', Thread)])\n@atexit.register\ndef _():\n"
        " tree.terminate_child('a'); tree.restart_child('a'); print(tree.count_children().active, tree.stop(), flush=True)",
        "2 True",
        0,
    ),
    "a supervisor that nobody stops": ("tree = Supervisor.start([ChildSpec('a', Worker), ChildSpec('b', Thread)])", "", 0),
    "a pool closed in a handler at exit": (
        "pool = ActorPool(); ref = Worker.start(pool=pool)\natexit.register(lambda: print(pool.close(), flush=True))\n"
        "atexit.register(lambda: ref.tell(1))",
        "1\n[]",
        0,
    ),
}
CASES = {
    f"{name}, {kind}": (CHANNEL.format(kind=KINDS[kind]) + code, *right)
    for name, (code, *right) in WITH_CHANNEL.items()
    for kind in KINDS
}
CASES |= {name: (ACTORS + code, *right) for name, (code, *right) in WITH_ACTORS.items()}


def ended(code, *flags):
    """What it printed, its exit status, what it said on stderr, and how long it took."""
    begun_s = time.monotonic()
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=LASTS_S)
    return done.stdout.strip(), done.returncode, done.stderr, time.monotonic() - begun_s


@pytest.mark.parametrize("name", CASES)
def test_a_program_ends_as_it_said(name):
    code, printed, status = CASES[name]
    assert ended(code)[:3] == (printed, status, "")


def test_an_exception_in_main_is_all_that_is_said():
    printed, status, said, _lasted_s = ended(CHANNEL.format(kind="Pool()") + "with channel: 1 / 0")
    assert (printed, status) == ("", 1)
    assert said.count("Traceback") == 1
    assert said.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_hook_that_hangs_delays_the_end_by_some_seconds_and_what_is_dropped_is_said():
    code = (
        ACTORS
        + "ref = Hangs.start(); ref.tell(1)\nother = Worker.start(pool=ref._actor._pooled_pool)\nother.tell(2)\nref.tell(3)"
    )
    _printed, status, said, lasted_s = ended(code)
    assert status == 0
    assert said.startswith("lightspeed: at the end 1 messages to pooled actors were dropped; busy: Hangs")
    assert lasted_s < 5 + LASTS_S / 3


@pytest.mark.parametrize("what", ["channel", pytest.param("actor", marks=pytest.mark.long)])
def test_a_sink_of_the_log_that_hangs_delays_the_end_by_two_seconds(what):
    fails = {
        "channel": "class Fails(Behaviour):\n def on_join(self, *_): 1 / 0\n"
        "other = Channel(behaviours={'*': Fails}); other.handle(Join('c', 'room', 'u', 1))",
        "actor": "from lightspeed.actors import PooledActor\nclass Fails(PooledActor):\n def on_receive(self, _): 1 / 0\n"
        "ref = Fails.start(); ref.tell(1)",
    }[what]
    code = f"""{CHANNEL.format(kind="Pool()")}
from loguru import logger
hangs = threading.Event()
def sink(_message): hangs.set(); time.sleep(60)
logger.remove(); logger.add(sink); logger.enable("lightspeed")
{fails}
hangs.wait()
"""
    _printed, status, said, lasted_s = ended(code)
    assert (status, said) == (0, "")
    assert lasted_s < 2 + LASTS_S / 3


def test_what_is_logged_in_a_handler_at_exit_is_written():
    code = f"""{ACTORS}
from loguru import logger
import lightspeed.channel
logger.remove(); logger.add(lambda message: print(message.record["level"].name, flush=True)); logger.enable("lightspeed")
class Fails(PooledActor):
    def on_receive(self, message): 1 / 0
ref = Fails.start()
atexit.register(lambda: ref.tell(1))
"""
    printed, status, said, _lasted_s = ended(code)
    assert (printed, status, said) == ("ERROR", 0, "")


def test_with_warnings_as_errors_a_forgotten_channel_is_closed_all_the_same():
    code = f"""{CHANNEL.format(kind="Pool()")}
import gc
ingress, done = channel._ingress, channel._done
sys.unraisablehook = lambda _: None
del channel
gc.collect(); done.get(timeout=5)
print(ingress.is_shut)
"""
    assert ended(code, "-X", "dev", "-W", "error")[:3] == ("True", 0, "")
