from lightspeed.actors.presence import Presence
from lightspeed.channel import Entry, Meta


def test_a_key_holds_a_meta_for_each_client():
    presence = Presence()
    assert presence.track("phone", "alice", 1) == Entry("alice", (Meta("phone:1", 1),))
    presence.track("laptop", "alice", 2)
    presence.track("c3", "bob", 3)
    assert presence.entries() == (
        Entry("alice", (Meta("phone:1", 1), Meta("laptop:2", 2))),
        Entry("bob", (Meta("c3:3", 3),)),
    )


def test_a_key_goes_with_its_last_meta_and_comes_back_last():
    presence = Presence()
    presence.track("c1", "alice", 1)
    presence.track("c2", "bob", 2)
    assert presence.untrack("c1", "alice") == Entry("alice", (Meta("c1:1", 1),))
    assert [entry.key for entry in presence.entries()] == ["bob"]
    presence.track("c1", "alice", 3)
    assert [entry.key for entry in presence.entries()] == ["bob", "alice"]


def test_a_key_with_metas_left_keeps_its_place():
    presence = Presence()
    presence.track("c1", "alice", 1)
    presence.track("c2", "alice", 2)
    presence.track("c3", "bob", 3)
    presence.untrack("c1", "alice")
    assert presence.entries()[0] == Entry("alice", (Meta("c2:2", 2),))
