from lightspeed.actors.topics.rules.presence import Presence
from lightspeed.channel import Entry, Meta


def track(presence, client_id, key, now_ms):
    entry, table, at, value = presence.coming(client_id, key, now_ms, "")
    table[at] = value
    return entry


def untrack(presence, client_id, key):
    entry, table, at = presence.going(client_id, key)
    del table[at]
    return entry


def test_a_key_holds_a_meta_for_each_client():
    presence = Presence()
    assert track(presence, "phone", "alice", 1) == Entry("alice", (Meta("phone:1", 1),))
    track(presence, "laptop", "alice", 2)
    track(presence, "c3", "bob", 3)
    assert presence.entries() == (
        Entry("alice", (Meta("phone:1", 1), Meta("laptop:2", 2))),
        Entry("bob", (Meta("c3:3", 3),)),
    )


def test_a_key_goes_with_its_last_meta_and_comes_back_last():
    presence = Presence()
    track(presence, "c1", "alice", 1)
    track(presence, "c2", "bob", 2)
    assert untrack(presence, "c1", "alice") == Entry("alice", (Meta("c1:1", 1),))
    assert [entry.key for entry in presence.entries()] == ["bob"]
    track(presence, "c1", "alice", 3)
    assert [entry.key for entry in presence.entries()] == ["bob", "alice"]


def test_a_key_with_metas_left_keeps_its_place():
    presence = Presence()
    track(presence, "c1", "alice", 1)
    track(presence, "c2", "alice", 2)
    track(presence, "c3", "bob", 3)
    untrack(presence, "c1", "alice")
    assert presence.entries()[0] == Entry("alice", (Meta("c2:2", 2),))
