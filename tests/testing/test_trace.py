import os
import subprocess
import sys

import pytest

from lightspeed.testing import Case, Simulation, play, random_scenario

HASHES = """
from lightspeed.testing import Case, play, random_scenario
print(*(play(Case(random_scenario(seed), seed)).trace.hash for seed in range(5)))
"""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_hash_under_any_hash_seed_of_python():
    ours = " ".join(play(Case(random_scenario(seed), seed)).trace.hash for seed in range(5))
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", HASHES], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == ours


def test_another_seed_gives_another_hash():
    assert len({play(Case(random_scenario(1), seed)).trace.hash for seed in range(10)}) > 1


def test_every_draw_stands_in_the_trace():
    with Simulation(3) as simulation:
        drawn = simulation.random.random()
        simulation.random.randrange(10)
        assert [line.split("\t")[0] for line in simulation.trace] == ["draw", "draw"]
        assert f"draw\t{drawn!r}" in simulation.trace
    assert Simulation(3).random.random() == drawn
