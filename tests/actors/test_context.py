import subprocess
import sys

import pykka

from lightspeed.actors.context import current_actor


def test_outside_any_actor_there_is_none():
    assert current_actor() is None


def test_inside_an_actor_of_any_class_it_is_that_actor():
    class Mirror(pykka.ThreadingActor):
        def on_receive(self, message):
            return current_actor() is self

    mirror = Mirror.start()
    assert mirror.ask("who am I?")
    mirror.stop()


def test_the_private_name_of_pykka_that_it_needs_is_there():
    assert pykka.Actor._actor_loop.__code__.co_varnames[0] == "self", "Pykka changed _actor_loop: see actors/context.py"


COLLECTS = """
import faulthandler, gc, threading
from lightspeed.actors.context import current_frames

def look():  # its frame is new each time: that is what a collection begins at
    return current_frames()

class Circle: pass

faulthandler.dump_traceback_later(30, exit=True)
for number in range(2_000):
    circle = Circle()
    circle.itself, circle.local = circle, threading.local()
    circle.local.value = 1
    del circle
    gc.set_threshold(1 + number % 50)
    assert threading.get_ident() in look()
assert gc.isenabled()
gc.disable()
look()
assert not gc.isenabled(), "it was put on, though the program had put it off"
"""


def test_a_collection_at_any_moment_does_not_stop_who_looks_at_all_threads():
    done = subprocess.run([sys.executable, "-c", COLLECTS], capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
