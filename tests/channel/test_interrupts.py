"""A KeyboardInterrupt comes when it likes: also while an actor runs in the main thread."""

import subprocess
import sys

import pytest

INTERRUPTED = """
import os, random, signal, threading
from lightspeed.channel import *
channel, ready, moment = Channel(behaviours=BEHAVIOURS), threading.Semaphore(0), random.Random(7)
def interrupt():
    for _ in range(150):
        ready.acquire()
        for _ in range(moment.randrange(3000)):
            pass
        os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=interrupt)
thread.start()
at = 0
for _ in range(150):
    try:
        ready.release()
        while True:
            at += 1
            channel.handle(Rejoin("c", f"t{at % 7}", "u", at))
            channel.tell(Broadcast("c", f"t{at % 7}", "p"))
    except KeyboardInterrupt:
        pass
thread.join()
channel.flush_outbox()
channel.handle(Join("c", "a new one", "u", 1))
print([message.payload for message in channel.flush_outbox() if isinstance(message, Reply)])
channel.close(10)
print("closed")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
@pytest.mark.parametrize("behaviours", ["{}", "{'t*': Behaviour}"])
def test_ctrl_c_at_any_moment_leaves_a_channel_that_works(behaviours):
    script = INTERRUPTED.replace("BEHAVIOURS", behaviours)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['joined']\nclosed\n", "")
