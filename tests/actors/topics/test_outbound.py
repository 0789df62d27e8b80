from lightspeed.channel import BroadcastMessage, Diff, PresenceDiff, PushMessage, Reply, System, outbound_label


def test_every_message_has_its_label():
    messages = [
        Reply("c", "t", "ok", "joined"),
        PushMessage("c", "t", "e", "p"),
        BroadcastMessage("t", "p", ("c",)),
        PresenceDiff("t", Diff("t")),
        System("restarted"),
    ]
    labels = ["reply", "push_message", "broadcast_message", "presence_diff", "system"]
    assert [outbound_label(message) for message in messages] == labels
    assert len(set(messages)) == 5
