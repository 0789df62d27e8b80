from lightspeed.supervision.latch import Census, Latch


class Told:
    def __init__(self):
        self.values = []

    def set(self, value=None):
        self.values.append(value)


def test_a_latch_tells_when_the_last_part_is_told_and_no_more_can_come():
    told = Told()
    latch = Latch(told, 7)
    parts = [latch.part(), latch.part()]
    parts[0].set()
    latch.close()
    assert told.values == []
    parts[1].set()
    assert told.values == [7]


def test_a_latch_without_parts_tells_at_its_close():
    told = Told()
    Latch(told).close()
    assert told.values == [None]


def test_a_census_keeps_the_order_in_which_topics_were_added():
    told = Told()
    census = Census(told)
    late = census.part("late")
    census.add("known", 2)
    census.close()
    assert told.values == []
    late.set(5)
    assert told.values == [{"late": 5, "known": 2}]
    assert list(told.values[0]) == ["late", "known"]
