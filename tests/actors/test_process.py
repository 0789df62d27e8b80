from lightspeed.actors.process import WeakBag


class Thing:
    pass


def test_it_keeps_nobody_alive():
    bag, kept = WeakBag(), Thing()
    bag.add(kept)
    bag.add(Thing())
    assert list(bag) == [kept]
    assert len(bag) == 1


def test_what_is_gone_takes_no_place_for_long():
    bag, kept = WeakBag(), [Thing() for _ in range(10)]
    for thing in kept:
        bag.add(thing)
    for _ in range(1000):
        bag.add(Thing())
    assert list(bag) == kept
    assert len(bag._refs) < 100
