"""Breaking it on purpose: simulation, replay and shrinking."""

from lightspeed.testing.client import Client
from lightspeed.testing.schedulers import Chosen, Priority, Random, RoundRobin, Scheduler
from lightspeed.testing.simulation import Simulation
from lightspeed.testing.trace import Trace

__all__ = ["Chosen", "Client", "Priority", "Random", "RoundRobin", "Scheduler", "Simulation", "Trace"]
