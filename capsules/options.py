"""How a channel's capsules are written, as a value: the layer that `Channel(capsules=...)` stands for."""

import os

from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.runtime import Runtime


class Capsules(Struct, frozen=True):
    """Have each topic that fails leave a file by which the failure can be repeated: `lightspeed capsule replay FILE`.

    Raises:
        InvalidOption: an option has a value that it can't have.
    """

    directory: str | os.PathLike[str]
    """Where the files go. It is made when the first is written."""
    max_bytes: int = 10_000_000
    """A file that would be larger is written without what waited in the inbox, or else not at all. Default 10,000,000."""
    max_files: int = 100
    """With one more in the directory, the oldest is deleted. Default 100."""
    every: int = 100
    """A snapshot of a topic's state is taken each time that it has handled so many messages. Default 100."""

    def __post_init__(self) -> None:
        is_path = isinstance(self.directory, (str, os.PathLike)) and type(os.fspath(self.directory)) is str
        if not is_path or self.directory == "":
            raise InvalidOption("directory", self.directory, "must be a path")
        for option in ("max_bytes", "max_files", "every"):
            value = getattr(self, option)
            if type(value) is not int or value < 1:
                raise InvalidOption(option, value, "must be an int of 1 or above")

    def over(self, runtime: Runtime) -> Runtime:
        """A layer: a runtime over this one, by which topics leave capsules. What writes them is loaded with the first."""
        from lightspeed.capsules.recorded import Recorded

        return Recorded(runtime, self)
