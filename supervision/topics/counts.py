"""What a topics' supervisor counts: it alone writes, and any thread reads without asking it."""

from collections.abc import Callable, Sized

from lightspeed.actors.topics.rules.life import ChannelLife


class Counts:
    """Of one channel. What is counted anyway, the supervisor's numbers and tables, is read where it stands."""

    def __init__(self) -> None:
        self.last_number: Callable[[], int] = int
        """The supervisor's own. Each event has a number, and so has what arises by itself."""
        self.unasked = 0
        """So many numbers were no event's. It grows before they are given, so that what is left is never too much."""
        self.topics: Sized = ()
        self.overloaded: Sized = ()
        self.life = ChannelLife()
        self.failures = self.crashes = self.restarts = self.given_up = 0

    @property
    def accepted(self) -> int:
        """How many events were accepted; read amid a change it may be some less."""
        number = self.last_number()
        return number - self.unasked
