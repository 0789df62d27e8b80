"""All comparisons. The counts are such that a sample takes about half a second on two cores."""

from comparison import Comparison, Goal, Options, Row, Run, Unit

PER_SECOND = {thing: Unit(f"{thing}/s", more_is_better=True) for thing in ("messages", "deliveries", "steps", "events")}
MICROS = {thing: Unit(f"µs/{thing}") for thing in ("actor", "ask", "event", "reader", "step", "topic")}
MILLIS = Unit("ms")
BYTES, MIB, TOPICS, SECONDS = Unit("B/actor"), Unit("MiB"), Unit("topics", more_is_better=True), Unit("s")

SIZES = (10, 1_000, 100_000)
EVENTS = ("join", "broadcast", "rejoin")
WAYS = ("tell", "handle")


def at_least(times: float) -> Goal:
    return Goal("at least", times)


def at_most(times: float) -> Goal:
    return Goal("at most", times)


def _rivals(function: str, threading: Options, xoscar: Options, thespian: Options) -> list[Run]:
    return [
        Run("ThreadingActor", "on_pykka", function, {"kind": "threading", **threading}),
        Run("xoscar", "on_xoscar", function, xoscar, needs="xoscar"),
        Run("Thespian", "on_thespian", function, thespian, needs="thespian"),
    ]


def _actors(name: str, function: str, row: Row, ours: Options, rivals: list[Run]) -> list[Comparison]:
    """Our actor against each rival. The goal is one against ThreadingActor."""
    our_run = Run("PooledActor", "on_pykka", function, {"kind": "pooled", **ours})
    no_goal = Row(row.title, row.figure, row.unit)
    return [Comparison(name, our_run, rival, (row if rival is rivals[0] else no_goal,)) for rival in rivals]


def _spawn() -> list[Comparison]:
    rivals = _rivals("spawn", {"count": 1_000, "alive": 0}, {"count": 5_000}, {"count": 10_000})
    few = Row("spawn", "spawn", MICROS["actor"], at_least(30))
    many = Row("spawn, 100,000 of ours alive", "spawn", MICROS["actor"], at_least(20))
    return [
        *_actors("spawn", "spawn", few, {"count": 50_000, "alive": 0}, rivals),
        *_actors("spawn", "spawn", many, {"count": 50_000, "alive": 100_000}, rivals[:1]),
    ]


def _memory() -> list[Comparison]:
    row = Row("memory, idle", "memory", BYTES, Goal("at most", 750, of="figure"))
    return _actors(
        "memory", "memory", row, {"count": 100_000}, _rivals("memory", {"count": 1_500}, {"count": 20_000}, {"count": 20_000})
    )


def _messages() -> list[Comparison]:
    tell = Row("tell and handle", "tell", PER_SECOND["messages"], at_least(12))
    fan_out = Row("fan-out, one each to 1,000", "fan-out", PER_SECOND["messages"], at_least(60))
    few, many = ({"actors": 1_000, "rounds": rounds} for rounds in (5, 20))
    return [
        *_actors(
            "tell", "tell", tell, {"count": 1_000_000}, _rivals("tell", {"count": 100_000}, {"count": 20_000}, {"count": 50_000})
        ),
        *_actors("fan-out", "fan_out", fan_out, {"actors": 1_000, "rounds": 300}, _rivals("fan_out", few, many, many)),
    ]


def _asks() -> list[Comparison]:
    idle = Row("ask of an idle actor", "ask", MICROS["ask"], at_least(30))
    timed = Row("ask with a timeout", "ask", MICROS["ask"], at_least(1))
    counts = {"count": 10_000}, {"count": 10_000}, {"count": 20_000}
    return [
        *_actors("ask", "ask", idle, {"count": 200_000}, _rivals("ask", *counts)),
        *_actors("ask", "ask_with_timeout", timed, {"count": 10_000}, _rivals("ask_with_timeout", *counts)),
    ]


def _broadcasts() -> list[Comparison]:
    ours = Run("Channel", "on_channel", "broadcast", {"members": 100, "tells": 50_000, "handles": 10_000})
    title, unit = "broadcast to 100 members", PER_SECOND["deliveries"]
    rivals = (
        (Run("broadcaster", "on_broadcaster", "broadcast", {"members": 100, "messages": 5_000}, needs="broadcaster"), 45, 25),
        (Run("Channels layer", "on_layer", "broadcast", {"members": 100, "messages": 200}, needs="channels"), None, None),
    )
    return [
        Comparison(
            "broadcast",
            ours,
            rival,
            (
                Row(f"{title}, tell", "tell", unit, at_least(tell) if tell else None, rival_figure="read"),
                Row(f"{title}, handle", "handle", unit, at_least(handle) if handle else None, rival_figure="read"),
                Row(f"{title}, tell, each recipient visited", "read", unit),
            ),
        )
        for rival, tell, handle in rivals
    ]


def _clients() -> list[Comparison]:
    """Clients read by threads: a stream beside a queue for each, and bursts of 100 beside what reads on a loop."""
    unit, found = PER_SECOND["deliveries"], []
    for readers, title in (("each", "a thread for each"), ("one", "one thread for all")):
        stream: Options = {"members": 100, "readers": readers, "messages": 3_000, "burst": 3_000}
        singly: Options = {**stream, "messages": 200, "burst": 1}
        for options, way, goal in ((stream, "a stream", at_least(3)), (singly, "one by one", None)):
            ours = Run("Client", "on_clients", "broadcast", options)
            rival = Run("queue.Queue", "on_clients", "queues", options)
            found.append(Comparison("clients", ours, rival, (Row(f"to 100 clients, {title}, {way}", "read", unit, goal),)))
    for burst, way, goal in ((100, "bursts of 100", at_least(4)), (1, "one by one", None)):
        ours = Run(
            "Client", "on_clients", "broadcast", {"members": 100, "readers": "one", "messages": 20 * burst + 180, "burst": burst}
        )
        bursts: Options = {"members": 100, "bursts": 6 if burst > 1 else 100, "burst": burst, "loop": "asyncio"}
        row = Row(f"to 100 clients, {way}", "read", unit, goal)
        found.append(
            Comparison("clients", ours, Run("broadcaster", "on_broadcaster", "bursts", bursts, needs="broadcaster"), (row,))
        )
        found.append(Comparison("clients", ours, Run("Litestar", "on_litestar", "broadcast", bursts, needs="litestar"), (row,)))
    return found


def _async_clients() -> list[Comparison]:
    """Clients read by tasks of one loop, beside what is read so too; a broadcast beside a busy topic; thousands who wait."""
    found = []
    for loop, runtime in (("asyncio", "Loop"), ("asyncio", "Pool"), ("uvloop", "Loop"), ("uvloop", "Pool")):
        for burst, way, goal in ((100, "bursts of 100", at_least(4)), (1, "one by one", at_least(1))):
            where: Options = {"members": 100, "burst": burst, "loop": loop}
            ours = Run(
                f"AsyncClient, {runtime}",
                "on_async_clients",
                "broadcast",
                {**where, "bursts": 100 if burst > 1 else 1_000, "runtime": runtime},
                needs=None if loop == "asyncio" else loop,
            )
            options: Options = {**where, "bursts": 40 if burst > 1 else 1_000}
            few: Options = {**where, "bursts": 4 if burst > 1 else 400}
            row = Row(f"to 100 async clients, {way}, {loop}", "read", PER_SECOND["deliveries"], goal)
            rivals = (
                Run("broadcaster", "on_broadcaster", "bursts", options, needs="broadcaster"),
                Run("Litestar", "on_litestar", "broadcast", options, needs="litestar"),
                Run("python-socketio", "on_socketio", "broadcast", few, needs="python-socketio"),
            )
            found += [Comparison("async", ours, rival, (row,)) for rival in rivals]
    for runtime, goals in (("Pool", at_least(5)), ("Loop", None)):
        beside: Options = {"members": 200, "rounds": 100, "runtime": runtime}
        ours, rival = (
            Run(f"{label}, {runtime}", "on_latency", function, beside)
            for label, function in (("AsyncClient", "clients"), ("a sink and queues", "sink"))
        )
        rows = [Row(f"a broadcast to 200 tasks beside a busy topic, {cut}", cut, MILLIS, goals) for cut in ("p50", "p99")]
        found.append(Comparison("async", ours, rival, tuple(rows)))
    waiting: Options = {"readers": 10_000}
    rows = [
        Row("10,000 tasks that wait for a message: memory", "memory", Unit("B/reader")),
        Row("10,000 tasks that wait for a message: one to each", "wake", MICROS["reader"]),
    ]
    ours = Run("AsyncClient", "on_async_clients", "waiting", waiting)
    found.append(
        Comparison("async", ours, Run("broadcaster", "on_broadcaster", "waiting", waiting, needs="broadcaster"), tuple(rows))
    )
    return found


def _events(topics: int, members: int, visited: str) -> Run:
    label = f"{topics:,} topics" if members == 1 else f"{members:,} members"
    told: Options = {"tells": 25_000, "rounds": 4}
    options: Options = {"topics": topics, "members": members, "visited": visited, **told, "handles": 10_000}
    return Run(label, "on_channel", "events", options)


def _growth(name: str, large: Run, small: Run, rows: list[Row]) -> Comparison:
    return Comparison(name, large, small, tuple(rows), growth=True)


def _by_topics(visited: str, size: int) -> Comparison:
    goal = at_most(1.15) if size == SIZES[-1] and visited != "uniform" else None
    rows = [Row(f"{event}, {visited}, {way}", f"{event} {way}", MICROS["event"], goal) for event in EVENTS for way in WAYS]
    return _growth("topics", _events(size, 1, visited), _events(SIZES[0], 1, visited), rows)


def _by_members(size: int) -> Comparison:
    goals = {"broadcast": at_most(1.3)} if size == SIZES[-1] else {}
    rows = [
        Row(f"{event} in one topic, {way}", f"{event} {way}", MICROS["event"], goals.get(event))
        for event in EVENTS
        for way in WAYS
    ]
    return _growth("members", _events(1, size, "hot"), _events(1, SIZES[0], "hot"), rows)


def _alternating(size: int) -> Comparison:
    goal = at_most(1.3) if size == SIZES[-1] else None
    large, small = (
        Run(f"{members:,} members", "on_channel", "alternating", {"members": members, "milliseconds": 300})
        for members in (size, SIZES[0])
    )
    return _growth(
        "alternating", large, small, [Row(f"join, broadcast, leave, {way}", way, MICROS["event"], goal) for way in WAYS]
    )


def _crowds() -> list[Comparison]:
    few = Run("1,000 topics", "on_crowd", "restart", {"topics": 1_000, "rounds": 10})
    many = Run("100,000 topics", "on_crowd", "restart", {"topics": 100_000, "rounds": 1})
    restart = Row("crash, restart, rejoin", "restart", MICROS["topic"], at_most(1.5))
    million = Run("Pool", "on_crowd", "capacity", {"kind": "pool", "topics": 1_000_000})
    threads = Run("Threads, asked for 20,000", "on_crowd", "capacity", {"kind": "threads", "topics": 20_000})
    rows = (
        Row("live topics that all answer", "topics", TOPICS, Goal("at least", 1_000_000, of="figure")),
        Row("the most memory that they took", "peak", MIB, Goal("at most", 1_536, of="figure"), has_ratio=False),
        Row("the time of a topic: join, broadcast", "time", MICROS["topic"]),
    )
    return [
        _growth("restart", many, few, [restart]),
        Comparison("capacity", million, threads, rows, most_pairs=1),
    ]


def _simulations() -> list[Comparison]:
    def runs(function: str, **options: int) -> tuple[Run, Run]:
        ours = Run("Simulation", "on_simulation", function, {**options})
        return ours, Run("SimPy", "on_simpy", function, {**options}, needs="simpy")

    enough = Goal("at least", 100_000, of="figure")
    rows = (
        Row("steps in simulation", "steps", PER_SECOND["steps"], enough),
        Row("events in simulation", "events", PER_SECOND["events"]),
    )
    day = Row("a day of heartbeats, each 30 s", "seconds", SECONDS, Goal("at most", 5, of="figure"))
    runs_of = {"runs": 300, "events": 40}
    faulty, sound = (Run(f"{label} faults", "on_simulation", f"random_{label}", {**runs_of}) for label in ("with", "without"))
    whole = Row("whole runs of random scenarios, their end with them", "step", MICROS["step"])
    return [
        Comparison("simulation", *runs("steps", clients=4, events=30_000), rows),
        Comparison("simulation", *runs("heartbeats", clients=10, hours=24), (day,)),
        Comparison("simulation", faulty, sound, (whole,), growth=True),
    ]


COMPARISONS = [
    *_spawn(),
    *_memory(),
    *_messages(),
    *_asks(),
    *_broadcasts(),
    *_clients(),
    *_async_clients(),
    *(_by_topics(visited, size) for visited in ("hot", "zipf", "uniform") for size in SIZES[1:]),
    *map(_by_members, SIZES[1:]),
    *map(_alternating, SIZES[1:]),
    *_crowds(),
    *_simulations(),
]

NAMES = tuple(dict.fromkeys(comparison.name for comparison in COMPARISONS))
