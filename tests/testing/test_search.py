"""Planted bugs are found by seeds, and cut down to few events."""

import time

import pytest
from model.random_scenario import random_scenario
from planted import BUGS

from lightspeed.actors.errors import InvalidOption
from lightspeed.testing import play, search_drawn, shrink


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_by_seeds_within_ten_seconds_and_shrunk_to_ten_events(name):
    plant, invariant = BUGS[name]
    with plant():
        started_s = time.monotonic()
        found = search_drawn(random_scenario, range(100_000), within_s=10)
        assert found is not None
        small = shrink(found)
        assert time.monotonic() - started_s < 20
        assert (found.failure, small.failure) == (invariant, invariant)
        assert len(small.case.scenario.sendings) <= 10
        assert play(small.case).failure == invariant
    assert play(small.case).error is None


async def drawn_later(seed):
    return random_scenario(seed)


@pytest.mark.parametrize("draw", [drawn_later, None])
def test_what_would_draw_no_scenario_is_refused(draw):
    with pytest.raises(InvalidOption, match="draw must be a plain function of a seed"):
        search_drawn(draw)
