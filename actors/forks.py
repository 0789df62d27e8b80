"""What is done first of all in a forked child: locks that another thread held at the fork would stay taken for ever."""

import os
from collections.abc import Callable


def in_forked_child(call: Callable[[], None]) -> Callable[[], None]:
    """Have this called in every child that is forked from here on; as a decorator too. Nothing where the system has no fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
    return call
