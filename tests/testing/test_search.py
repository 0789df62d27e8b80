"""Planted bugs are found by seeds, and cut down to few events."""

import time

import pytest
from model.random_scenario import random_scenario
from planted import BUGS

from lightspeed.actors.errors import InvalidOption
from lightspeed.testing import play, search_drawn, shrink

# Those that take longest to cut down.
LONG = (
    *("lost rejoin during restart", "member not replayed", "key left after its last device", "crash lost during restart"),
    *("handled by the dead", "order broken by a race"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in BUGS])
def test_a_planted_bug_is_found_by_few_seeds_and_shrunk_to_ten_events_within_ten_seconds(name):
    plant, invariant = BUGS[name]
    with plant():
        began_s = time.process_time()
        found = search_drawn(random_scenario, range(100))
        assert found is not None
        small = shrink(found)
        assert time.process_time() - began_s < 10  # 2 s, of the thread's own: it shares the machine with others
        assert (found.failure, small.failure) == (invariant, invariant)
        assert len(small.case.scenario.sendings) <= 10
        assert play(small.case).failure == invariant
    assert play(small.case).error is None


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_one_that_takes_long_to_shrink_is_found_all_the_same(name):
    plant, invariant = BUGS[name]
    with plant():
        assert search_drawn(random_scenario, range(100)).failure == invariant


async def drawn_later(seed):
    return random_scenario(seed)


@pytest.mark.parametrize("draw", [drawn_later, None])
def test_what_would_draw_no_scenario_is_refused(draw):
    with pytest.raises(InvalidOption, match="draw must be a plain function of a seed"):
        search_drawn(draw)
