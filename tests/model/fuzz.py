"""The library's own fuzzing: random scenarios, each held to what the library promises by `Model`.

`python tests/model/fuzz.py --seeds 100000 --jobs 2 --scheduler priority`; options as of `lightspeed simulate`, which plays it. A
seed that failed is cut down by `shrink(search_drawn(random_scenario, [seed]))`, with the model watching.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from model.held_channel import Model
from model.random_scenario import random_scenario

from lightspeed.cli.main import main
from lightspeed.testing import Simulation

Simulation.observers = (Model,)


def play(simulation: Simulation) -> None:
    """The scenario that its seed draws."""
    random_scenario(simulation.seed)(simulation)


if __name__ == "__main__":
    sys.exit(main(["simulate", f"{__file__}:play", *sys.argv[1:]]))
