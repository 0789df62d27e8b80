"""What sees a simulation from beside: it may be told of all that goes on in it, and hold it to rules of its own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightspeed.channel import Channel, Event
    from lightspeed.testing.simulated_channel import SimulatedChannel
    from lightspeed.testing.simulation import Simulation
    from lightspeed.testing.supervised import SimulatedSupervisor


class Observer:
    """One simulation's observer: override what is wanted; as it stands it does nothing.

    `Simulation.observers` is a tuple of what makes one of a simulation; each simulation asks them when it is made. What actors do
    inside a channel an observer sees by a layer (`options["layers"]`, in `channel`). What it finds is wrong it raises, or hands
    to `simulation.pool.break_by`, where it may not be raised at that place.
    """

    def __init__(self, simulation: "Simulation") -> None:
        self.simulation = simulation

    def channel(self, kind: "type[SimulatedChannel]", options: dict[str, Any]) -> "type[SimulatedChannel]":
        """The class of a channel that is about to be made, and its options, which may be changed."""
        return kind

    def supervisor(self, kind: "type[SimulatedSupervisor]") -> "type[SimulatedSupervisor]":
        """The class of which every supervisor that takes part is."""
        return kind

    def sends(self, channel: "Channel", event: "Event") -> None:
        """A client is about to send this."""

    def at_rest(self) -> None:
        """Nobody is ready."""

    def closing(self, channel: "Channel") -> None:
        """All is at rest, and the channel is about to be closed, since the simulation is."""

    def closed(self, channel: "Channel") -> None:
        """The channel is closed, and its outbox was flushed."""
