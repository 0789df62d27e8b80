"""What a channel's supervisor is asked, and how it answers without waiting for a topic.

Most answers come when the topics that are at work have come to them, each in its turn. That of the tree comes at once: one looks
at it because something does not get on.
"""

from lightspeed.actors.topics.mail import Question
from lightspeed.actors.topics.rules.life import ChannelLife
from lightspeed.supervision.latch import Census, Latch
from lightspeed.supervision.topics.aftermath import Aftermath
from lightspeed.supervision.topics.children import Child, Children
from lightspeed.supervision.topics.counts import Counts
from lightspeed.supervision.topics.messages import AskCensus, AskCrashed, AskTopic, AskTree, Flush
from lightspeed.supervision.topics.outlet import Outbox, SinkQueues
from lightspeed.supervision.tree import Tree, TreePhase


class Questions:
    """For the supervisor's thread only."""

    def __init__(
        self, children: Children, counts: Counts, life: ChannelLife, outlet: Outbox | SinkQueues, aftermath: Aftermath
    ) -> None:
        self._children, self._counts, self._life = children, counts, life
        self._outlet, self._aftermath = outlet, aftermath

    def flush(self, message: Flush) -> None:
        latch = Latch(message.reply, message.last_seq)
        self._children.settle(latch)
        self._outlet.settle(latch)
        latch.close()

    def ask_topic(self, message: AskTopic) -> None:
        if self._counts.are_waited_for and self._counts.hold_all(message):
            return
        self.put(message.topic, Question(message.ask, message.reply))

    def put(self, topic: str, question: Question) -> None:
        """To the topic, or, where nobody is in it, answer it as of an empty one."""
        child = self._children.live.get(topic)
        if self._counts.holds(topic, question):
            return
        if child is None:
            self._children.answer(question, "")
        else:
            self._children.deliver(child, question)

    def ask_crashed(self, message: AskCrashed) -> None:
        message.reply.set(self._life.crashed)

    def ask_census(self, message: AskCensus) -> None:
        census = Census(message.reply)
        for topic, child in list(self._children.live.items()):
            if self._children.roll.is_settled(child):
                census.add(topic, self._children.roll.count(child))
            else:
                self._children.deliver(child, Question(len, census.part(topic)))
        census.close()

    def ask_tree(self, message: AskTree) -> None:
        """A topic stands as what it is furthest on its way to: what takes its events hides what is ending or has ended."""
        crashed, down = self._life.crashed, self._life.down
        trees = {topic: self._ended(topic, "down") for topic in (self._aftermath.topics_down if crashed else ())}
        trees |= {topic: self._ended(topic, why) for topic, why in down.items()}
        trees |= {topic: self._tree(child, "stopping", members=0) for topic, child in self._children.leaving.items()}
        for topic, child in self._children.live.items():
            phase: TreePhase = "restarting" if child.is_put_off else "starting" if child.ref is None else "running"
            trees[topic] = self._tree(child, phase, members=self._children.roll.count(child))
        message.reply.set(("crashed" if crashed else "running", trees))

    def _ended(self, topic: str, phase: TreePhase) -> Tree:
        is_at_work, restarts = self._outlet.is_at_work(topic), self._aftermath.restarts_of(topic)
        return Tree(topic, "topic", phase, members=0, is_at_work=is_at_work, restarts=restarts)

    def _tree(self, child: Child, phase: TreePhase, members: int) -> Tree:
        cell = child.cell
        is_at_work = cell in self._children.in_flight or self._outlet.is_at_work(cell.topic)
        restarts = self._aftermath.restarts_of(cell.topic)
        return Tree(cell.topic, "topic", phase, cell.incarnation, members, is_at_work, restarts)
