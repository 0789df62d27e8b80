"""Two clients in one room, a crash, and the way back."""

from lightspeed.channel import Broadcast, BroadcastMessage, Crash, Join, PresenceDiff, Rejoin, Reply, Restart, new_single_node

with new_single_node() as channel:
    channel.handle(Join("phone", "room:1", "alice", now_ms=1_000))
    channel.handle(Join("laptop", "room:1", "bob", now_ms=2_000))
    channel.handle(Broadcast("phone", "room:1", "hello"))
    channel.handle(Crash("power cut"))
    channel.handle(Broadcast("laptop", "room:1", "anyone there?"))
    channel.handle(Restart())
    channel.handle(Rejoin("phone", "room:1", "alice", now_ms=3_000))
    for message in channel.flush_outbox():
        match message:
            case Reply(client_id, topic, status, payload):
                print(f"reply to {client_id} in {topic}: {status}, {payload}")
            case PresenceDiff(topic, diff):
                print(f"presence in {topic}: joined {[entry.key for entry in diff.joins]}")
            case BroadcastMessage(topic, payload, recipients):
                print(f"broadcast in {topic}: {payload!r} to {', '.join(recipients)}")
            case _:
                print(message)
