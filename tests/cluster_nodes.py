"""Nodes as processes, what they wrote, and what it comes to: losses, duplicates, false deaths, zombies."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

LEASE_S, BEAT_S, PER_S = 1.5, 0.5, 100
PROGRAM = Path(__file__).with_name("cluster_node_program.py")


class NodeProcess:
    """One process of a node. What it writes is collected as it comes."""

    def __init__(self, name, url):
        self.name, self.lines, self.is_alive = name, [], True
        self._come = threading.Condition()
        command = [sys.executable, str(PROGRAM), name, url, str(LEASE_S), str(BEAT_S), str(PER_S)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for text in self.process.stdout:
            with self._come:
                self.lines.append(json.loads(text))
                self._come.notify_all()

    def await_line(self, wanted, timeout_s=20.0):
        with self._come:
            assert self._come.wait_for(lambda: any(map(wanted, self.lines)), timeout_s), f"{self.name}: {self.lines[-3:]}"
            return next(filter(wanted, self.lines))

    def command(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def of(self, kind):
        return [line for line in self.lines if line["kind"] == kind]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.is_alive = False
        self.process.kill()
        self._end()

    def close(self):
        self.is_alive = False
        self.process.stdin.close()
        self._end()

    def _end(self):
        self.process.wait(20)
        self._reader.join(20)
        self.process.stdout.close()
        if not self.process.stdin.closed:
            self.process.stdin.close()


class Nodes:
    """All of a test: those that run, and those that have ended."""

    def __init__(self):
        self.all = []
        self.ended_s = {}
        """Name -> when a node of it ended without a word, or was stopped."""
        self.may_leave = set()
        """The names of nodes whose members others may see leave."""

    def start(self, name, url):
        node = NodeProcess(name, url)
        self.all.append(node)
        node.await_line(lambda line: line["kind"] == "up")
        return node

    @property
    def alive(self):
        return [node for node in self.all if node.is_alive]

    def kill(self, node):
        self.may_leave.add(node.name)
        self.ended_s[node.name] = time.monotonic()
        node.kill()

    def stop(self, node):
        self.may_leave.add(node.name)
        self.ended_s[node.name] = time.monotonic()
        node.signal(signal.SIGSTOP)

    def close(self, node):
        self.may_leave.add(node.name)
        node.close()

    def await_all_hear_all(self, timeout_s=20.0):
        """Each hears what each says from now on; how long that took."""
        now_s = time.monotonic()
        said = {
            node: node.await_line(lambda line: line["kind"] == "said" and line["at_s"] > now_s, timeout_s) for node in self.alive
        }
        for first in said.values():
            run, number = first["text"].rsplit(" ", 1)

            def is_later(line, run=run, number=number):
                return line["kind"] == "heard" and line["text"].startswith(f"{run} ") and _number(line["text"]) >= int(number)

            for hearer in self.alive:
                hearer.await_line(is_later, timeout_s)
        return time.monotonic() - now_s

    def at_rest(self):
        """Let all fall silent, and give each time to see what it lost; what they say of one another then."""
        for node in self.alive:
            node.command("hush")
        for node in self.alive:
            node.await_line(lambda line: line["kind"] == "hush")
        threading.Event().wait(4 * BEAT_S)
        for node in self.alive:
            node.command("state")
        return {node.name: node.await_line(lambda line: line["kind"] == "state") for node in self.alive}

    def end(self):
        for node in self.alive:
            node.signal(signal.SIGCONT)
            node.kill()


class Account:
    """What a run came to."""

    def __init__(self, nodes, states):
        self.told = self.untold = self.duplicates = self.disorders = 0
        self.false_deaths = []
        self.zombies = []
        self.buried_after_s = 0.0
        for hearer in nodes.alive:
            self._hold(hearer, nodes)
        for line in (state for state in states.values()):
            assert line["users"] == sorted(node.name for node in nodes.alive), states
            assert (line["mismatches"], line["bad"]) == (0, 0), states

    def _hold(self, hearer, nodes):
        heard = defaultdict(list)
        for line in hearer.of("heard"):
            heard[line["text"].rsplit(" ", 1)[0]].append(_number(line["text"]))
        gaps = Counter()
        for line in hearer.of("label"):
            if line["label"].startswith("gap:"):
                _gap, name, count = line["label"].rsplit(":", 2)
                gaps[name] += int(count)
        missing = Counter()
        for speaker in nodes.all:
            run = f"{speaker.name} {speaker.process.pid}"
            numbers = heard[run]
            self.duplicates += len(numbers) - len(set(numbers))
            self.disorders += numbers != sorted(numbers)
            said = [_number(line["text"]) for line in speaker.of("said")]
            if not speaker.is_alive:  # its last may never have left it
                last = max((_number(t) for other in nodes.alive for t in _texts(other) if t.startswith(f"{run} ")), default=0)
                said = [number for number in said if number <= last]
            if numbers:  # what was said before it came is none of its losses
                missing[speaker.name] += len({number for number in said if number >= numbers[0]} - set(numbers))
        for name, count in missing.items():
            self.told += min(count, gaps[name])
            self.untold += max(0, count - gaps[name])
        leaves = hearer.of("leave")
        self.false_deaths += [(hearer.name, line["key"]) for line in leaves if line["key"] not in nodes.may_leave]
        for name, ended_s in nodes.ended_s.items():
            if name != hearer.name:
                after = [line["at_s"] - ended_s for line in leaves if line["key"] == name and line["at_s"] >= ended_s]
                took_s = after[0] if after else float("inf")
                self.buried_after_s = max(self.buried_after_s, took_s)
                if took_s > LEASE_S + 1.5 * BEAT_S:
                    self.zombies.append((hearer.name, name, took_s))

    def row(self, what, converged_s):
        return (
            f"{what}: untold {self.untold}, told {self.told}, twice {self.duplicates}, in disorder {self.disorders}, "
            f"false deaths {len(self.false_deaths)}, zombies {len(self.zombies)}, buried after {self.buried_after_s:.2f} s, "
            f"converged in {converged_s:.2f} s"
        )


def _texts(node):
    return [line["text"] for line in node.of("heard")]


def _number(text):
    return int(text.rsplit(" ", 1)[1])
