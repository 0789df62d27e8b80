"""What each thread is at work on."""

import threading
from typing import Any


class Spot:
    """What one thread is at work on."""

    __slots__ = ("actor", "depth", "home", "is_lent", "is_outside")

    def __init__(self) -> None:
        self.actor: Any = None
        """The pooled actor that it runs."""
        self.depth = 0
        """How many actors it runs within one another, beyond the one that its pool gave it."""
        self.home: Any = None
        """The threaded actor of ours whose thread it is."""
        self.is_lent = False
        """Whether it waits, and runs a pool's actors meanwhile: then what is thrown into it is for who waits, too."""
        self.is_outside = False
        """Whether it is known to be no threaded actor's."""


class _Here(threading.local):
    def __init__(self) -> None:
        self.spot = Spot()


here = _Here()
"""`here.spot` is the calling thread's own."""
