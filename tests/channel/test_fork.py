"""What a forked child may do with what its parent has made: nothing, and it is told so at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUIET = ("-W", "ignore::DeprecationWarning")  # Python's own since 3.12: a fork where there are threads

HEAD = """
import os, signal, sys, threading, time
import pykka
from lightspeed.actors import ActorPool, PooledActor, Supervisable, watch
from lightspeed.channel import *
from lightspeed.supervision import ChildSpec, Supervisor

class Echo(PooledActor):
    def on_receive(self, message): return message
    def hello(self): return 1
class Ready(PooledActor):
    def on_start(self): pass
class Thread(Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True
    def on_receive(self, message): return message
class Talker(Behaviour): pass

def in_child(work):
    "What it returns, printed by a child that ends in the ordinary way."
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)  # it hangs: that is its exit status
        print(work(), flush=True)
        sys.exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

def is_refused(call):
    begun_s = time.monotonic()
    try: call()
    except InForkedChild: return time.monotonic() - begun_s < 1
    except BaseException: pass
    return False

def makes_its_own():
    for runtime in (Pool, Threads):
        with Channel(runtime=runtime(), behaviours={"*": Talker}) as channel:
            channel.handle(Join("c", "room", "u", 1))
            assert channel.subscribers("room") == ("c",)
    assert pykka.ActorRegistry.get_all() == []
    echo = Echo.start(); watch(echo, print_nothing)
    assert echo.ask(1) == 1 and echo.ask(2, timeout=5) == 2
    tree = Supervisor.start([ChildSpec("a", Echo), ChildSpec("b", Thread)])
    assert tree.count_children().active == 2
    pykka.ActorRegistry.stop_all()
    return "fine"
def print_nothing(_down): pass
"""


def run(code, *flags):
    done = subprocess.run([sys.executable, *QUIET, *flags, "-c", HEAD + code], capture_output=True, text=True, timeout=50)
    return done.stdout.split(), done.stderr


def test_every_call_of_what_the_parent_has_is_refused_at_once_and_the_parent_goes_on():
    said = run("""
calls, channels = {}, []
for runtime in (Pool, Threads):
    for options in ({}, {"on_outbound": lambda message: None}, {"behaviours": {"*": Talker}}):
        channel = Channel(runtime=runtime(), **options)
        channel.handle(Join("c", "room", "u", 1))
        channels.append(channel)
        calls |= {(len(channels), number): call for number, call in enumerate((
            lambda channel=channel: channel.handle(Leave("c", "room")), lambda channel=channel: channel.tell(Leave("c", "room")),
            lambda channel=channel: channel.handle(Crash("x")), lambda channel=channel: channel.tell(Crash("x")),
            channel.flush_outbox, channel.topics, channel.tree, channel.dead_letters, channel.close,
            *(lambda channel=channel, name=name: getattr(channel, name)("room") for name in ("subscribers", "presences")),
            *(lambda channel=channel, name=name: getattr(channel, name) for name in (
                "crashed", "membership_count", "adapter_label", "dead_letter_count", "abandoned_count", "faults")),
        ))}
pool = ActorPool()
refs = [Echo.start(pool=pool), Echo.start(), Thread.start()]
tree = Supervisor.start([ChildSpec("a", Echo), ChildSpec("b", Thread)])
for ref in refs:
    ref.ask(1)
    calls |= {(type(ref), id(ref), number): call for number, call in enumerate((
        lambda ref=ref: ref.tell(1), lambda ref=ref: ref.ask(1), lambda ref=ref: ref.ask(1, timeout=5),
        lambda ref=ref: ref.stop(),
        lambda ref=ref: ref.ask(1, block=False).get(timeout=5), lambda ref=ref: ref.stop(block=False)))}
calls |= {
    "proxy": lambda: refs[0].proxy().hello().get(timeout=5), "start": lambda: Echo.start(pool=pool),
    "ready": lambda: Ready.start(pool=pool),
    "close": lambda: pool.close(1), "retire": pool.retire, "schedule": lambda: pool.schedule(refs[0]._actor),
    "start_child": lambda: tree.start_child(ChildSpec("c", Echo)), "terminate": lambda: tree.terminate_child("a"),
    "restart": lambda: tree.restart_child("a"), "delete": lambda: tree.delete_child("a"), "which": lambda: tree.which_child("a"),
    "all": tree.which_children, "count": tree.count_children, "tree": tree.tree,
    "stop": tree.stop, "stop_soon": lambda: tree.stop(block=False),
}
in_child(lambda: (len(calls) > 130, [name for name, call in calls.items() if not is_refused(call)], makes_its_own()))
print([channel.membership_count for channel in channels] == [1] * 6, refs[0].ask(1), refs[2].ask(1), tree.count_children().active)
for channel in channels: channel.close()
pykka.ActorRegistry.stop_all()
""")
    assert said == (["(True,", "[],", "'fine')", "3", "True", "1", "1", "2"], "")


@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)", "pass", "import gc; del channel, ref, tree; gc.collect()"])
def test_a_child_that_touches_nothing_ends_without_a_word_also_with_warnings_as_errors(end):
    said = run(
        f"""
channel = Channel(behaviours={{"*": Talker}}, on_outbound=lambda message: None); channel.handle(Join("c", "room", "u", 1))
ref = Echo.start(); ref.ask(1, timeout=5); ref.tell(2)
tree = Supervisor.start([ChildSpec("a", Echo)])
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own since 3.12: a fork where there are threads
    pid = os.fork()
if pid == 0:
    {end}
else:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), channel.membership_count)
    channel.close()
    pykka.ActorRegistry.stop_all()
""",
        *("-X", "dev", "-W", "error"),
    )
    assert said == (["0", "1"], "")


def test_no_child_hangs_on_a_lock_that_another_thread_held_at_the_fork():
    said = run("""
from loguru import logger
logger.remove(); logger.add(lambda message: None); logger.enable("lightspeed")
channels = [Channel(), Channel(on_outbound=lambda message: None), Channel(behaviours={"*": Talker})]
tree = Supervisor.start([])
going = True
def busy(channel):
    while going:
        channel.tell(Join("c", "room", "u", 1)); channel.tell(Leave("c", "room")); channel.flush_outbox()
def busy_tree():
    while going:
        tree.start_child(ChildSpec("a", Echo)); tree.terminate_child("a"); tree.delete_child("a")
        echo = Echo.start(); watch(echo, print_nothing); echo.stop()
        Channel(runtime=Threads()).close()
threads = [threading.Thread(target=busy, args=(channel,)) for channel in channels] + [threading.Thread(target=busy_tree)]
for thread in threads: thread.start()
calls = [call for channel in channels for call in (channel.flush_outbox, channel.dead_letters, channel.close)]
calls += [lambda: tree.start_child(ChildSpec("b", Echo)), tree.count_children, tree.stop]
for _ in range(6): in_child(lambda: (all(map(is_refused, calls)), makes_its_own()))
going = False
for thread in threads: thread.join()
for channel in channels: channel.close()
tree.stop()
""")
    assert said == (["(True,", "'fine')", "3"] * 6, "")


@pytest.mark.parametrize("where", ["a hook", "another thread"])
def test_a_fork_elsewhere_than_in_main_is_as_any_other(where):
    said = run(f"""
channel = Channel(); channel.handle(Join("c", "room", "u", 1))
def fork():
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        print(is_refused(channel.flush_outbox), is_refused(channel.close), flush=True)
        if {where == "another thread"}: print(makes_its_own(), flush=True)
        os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
class Forks(PooledActor):
    def on_receive(self, _message): fork()
if {where == "a hook"}:
    ref = Forks.start(); ref.ask(1, timeout=20); ref.stop()
else:
    thread = threading.Thread(target=fork); thread.start(); thread.join()
print(channel.membership_count); channel.close()
""")
    assert said == (["True", "True", *(["fine"] if where == "another thread" else []), "3", "1"], "")


@pytest.fixture
def recipe(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "model.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "start_worker" in block]
    (tmp_path / "recipe.py").write_text(code)
    return tmp_path


@pytest.mark.parametrize("way", ["spawn", "fork", "forkserver"])
def test_the_documented_recipe_serves_in_workers_of_multiprocessing(recipe, way):
    done = subprocess.run([sys.executable, *QUIET, "recipe.py", way], cwd=recipe, capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("[True, True, True]\n", "")


def test_the_documented_recipe_serves_in_workers_that_a_server_forks(recipe):
    code = """
import os, recipe
from lightspeed.channel import Channel
with Channel():  # the server's own
    for _ in range(2):
        if os.fork() == 0:
            recipe.start_worker("server", "worker")
            print(recipe.serve("ann"), flush=True)
            recipe.channel.close()
            os._exit(0)
        os.wait()
"""
    done = subprocess.run([sys.executable, *QUIET, "-c", code], cwd=recipe, capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")
