"""How a supervisor treats its topics."""

from msgspec import Struct

from lightspeed.actors.patterns import Patterns


class Options(Struct, frozen=True):
    """Checked by whoever makes it."""

    rejoin_window_s: float = 30.0
    """How long a restarted topic waits for its first rejoin before its actor is stopped."""
    crash_timeout_s: float = 5.0
    """How long none of the topic actors that crash may come to its end before those left are abandoned."""
    own_thread: Patterns[bool] = Patterns("own_thread", {})
    """The topics whose actors have a thread of their own."""
