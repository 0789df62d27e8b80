"""What a crash takes, what it leaves, and how everybody comes back: three topics, four clients, one lost network."""

from lightspeed import channel as ls

MEMBERS = (  # client, topic, user
    ("phone", "room:lobby", "alice"),
    ("laptop", "room:lobby", "alice"),
    ("tablet", "room:lobby", "bob"),
    ("phone", "room:kitchen", "alice"),
    ("desktop", "room:garden", "carol"),
)


def brief(message: ls.Outbound) -> str:
    """A message, without what its event says already."""
    match message:
        case ls.Reply(_, _, status, payload):
            return f"{status} {payload}"
        case ls.PresenceDiff(_, diff):
            return f"presence +{diff.joins[0].key}"
        case _:
            return str(message)


def play(channel: ls.Channel, title: str, *events: ls.Event) -> None:
    """Let the events take effect, and print each with what came out."""
    print(f"{title}\n")
    for event in events:
        channel.handle(event)
        print(f"  {ls.encode(event).decode()}  ->  {', '.join(map(brief, channel.flush_outbox()))}")
    members, topics = channel.membership_count, len(channel.topics())
    print(f"\n  Crashed: {channel.crashed}. Members: {members}. Topics: {topics}. Present:")
    for topic in dict.fromkeys(topic for _, topic, _ in MEMBERS):
        entries = [f"{entry.key} with {' and '.join(meta.ref for meta in entry.metas)}" for entry in channel.presences(topic)]
        print(f"  {topic}: {', '.join(entries) or 'nobody'}")
    print()


with ls.new_single_node() as rooms:
    joins = [ls.Join(client, topic, user, now_ms=1_000 + at) for at, (client, topic, user) in enumerate(MEMBERS)]
    play(rooms, "Everybody joins. Each topic is an actor of its own.", *joins)
    play(rooms, "The network splits: every topic actor dies, and its members are gone with it.", ls.Crash("netsplit"))
    refused = (ls.Broadcast("phone", "room:lobby", "hello?"), ls.Leave("desktop", "room:garden"), joins[0])
    play(rooms, "Until the restart everything is refused.", *refused)
    play(rooms, "A restart: a new actor for each topic that had members, with nobody in it yet.", ls.Restart())
    rejoins = [ls.Rejoin(client, topic, user, now_ms=2_000 + at) for at, (client, topic, user) in enumerate(MEMBERS)]
    play(rooms, "The clients rejoin. The last of them repeats itself, which changes nothing.", *rejoins, rejoins[-1])
