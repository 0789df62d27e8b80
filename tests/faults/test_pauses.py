import threading

from lightspeed.actors import Pool, Threads
from lightspeed.actors.runtime import RuntimeWrapper
from lightspeed.channel import Channel, FaultPlan, Join, Push
from lightspeed.faults import Hang, Slow
from lightspeed.faults.context import Waits, pauses_of


class OwnPauses(Threads):
    """A runtime that holds its actors up itself: they return, and get the message again when the test says so."""

    def __init__(self, is_over=False):
        super().__init__()
        self.paused, self.happened, self.ended, self.is_over = [], threading.Event(), False, is_over

    def pause(self, actor, message, seconds):
        self.paused.append((actor, message, seconds))
        self.happened.set()
        return self.is_over

    def end_pauses(self):
        self.ended = True


def test_a_runtime_that_holds_up_its_actors_itself_is_asked_to_wherever_it_stands():
    own = OwnPauses()
    assert pauses_of(own) is own
    assert pauses_of(RuntimeWrapper(RuntimeWrapper(own))) is own
    assert isinstance(pauses_of(RuntimeWrapper(Pool())), Waits)


def test_an_actor_that_returned_goes_on_where_it_was_when_its_message_comes_again():
    own = OwnPauses()
    with Channel(faults=FaultPlan((Slow(5, at=2), Hang(at=2))), runtime=own) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Push("a", "x", "e", "p"))
        for seconds in (5, None):
            assert own.happened.wait(10)
            own.happened.clear()
            actor, mail, asked = own.paused[-1]
            assert asked == seconds
            assert actor.cell.in_flight[actor.cell] is mail  # so that it can be given up
            actor.actor_ref.tell(mail)
        assert channel.flush_outbox()[-1].payload == "p"
        assert (len(own.paused), channel.faults.fired) == (2, (1, 1))
    assert own.ended


def test_a_message_that_comes_again_after_its_actor_was_given_up_is_not_handled():
    own = OwnPauses()
    with Channel(faults=FaultPlan((Slow(5, at=2),)), runtime=own) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Push("a", "x", "e", "p"))
        assert own.happened.wait(10)
        actor, mail, _seconds = own.paused[0]
        assert actor.cell.in_flight.pop(actor.cell) is mail  # as the supervisor does
        actor.actor_ref.tell(mail)
        actor.cell.settled += 1
        assert [getattr(message, "payload", None) for message in channel.flush_outbox()] == ["joined", None]


def test_when_the_pauses_end_whoever_waits_goes_on_and_nobody_waits_after():
    waits = Waits(Threads())
    threads = [threading.Thread(target=waits.pause, args=(None, None, seconds)) for seconds in (None, 1000)]
    for thread in threads:
        thread.start()
    waits.end_pauses()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert waits.pause(None, None, None) is True
    assert waits.pause(None, None, 1000) is True
