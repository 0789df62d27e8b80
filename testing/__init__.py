"""Breaking it on purpose: simulation, search, replay and shrinking."""

from lightspeed.testing.asserts import (
    assert_broadcast,
    assert_presence,
    assert_push,
    assert_reply,
    refute_broadcast,
    refute_presence,
    refute_push,
    refute_reply,
)
from lightspeed.testing.case import Case, Outcome, Play, play
from lightspeed.testing.client import Client
from lightspeed.testing.observer import Observer
from lightspeed.testing.pytest_file import pytest_file
from lightspeed.testing.recording import Divergence, Replayed, replay, write_recording
from lightspeed.testing.scenario import Read, Scenario, ScenarioOptions, Sending
from lightspeed.testing.scenario_client import ClientAct
from lightspeed.testing.scenario_tree import ScenarioChild, ScenarioTree, TreeAct
from lightspeed.testing.schedulers import Chosen, Priority, Random, RoundRobin, Scheduler
from lightspeed.testing.search import every_schedule, search, search_drawn, sweep_crashes
from lightspeed.testing.shrink import shrink
from lightspeed.testing.simulation import Simulation
from lightspeed.testing.trace import Trace

__all__ = [
    "Case",
    "Chosen",
    "Client",
    "ClientAct",
    "Divergence",
    "Observer",
    "Outcome",
    "Play",
    "Priority",
    "Random",
    "Read",
    "Replayed",
    "RoundRobin",
    "Scenario",
    "ScenarioChild",
    "ScenarioOptions",
    "ScenarioTree",
    "Scheduler",
    "Sending",
    "Simulation",
    "Trace",
    "TreeAct",
    "assert_broadcast",
    "assert_presence",
    "assert_push",
    "assert_reply",
    "every_schedule",
    "play",
    "pytest_file",
    "refute_broadcast",
    "refute_presence",
    "refute_push",
    "refute_reply",
    "replay",
    "search",
    "search_drawn",
    "shrink",
    "sweep_crashes",
    "write_recording",
]
