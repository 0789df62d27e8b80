"""How an actor of ours ends, of whatever kind: whatever its code raises fails that actor alone, and its end is learnt."""

import logging
import sys
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, ClassVar

import pykka
from pykka.messages import ProxyCall

from lightspeed.actors.checks import check_seconds
from lightspeed.actors.errors import ExitReason, Ignore, InvalidOption, PoolClosed, Shutdown, reason_of
from lightspeed.actors.logs import log_as_pykka
from lightspeed.actors.pykka_inside import Envelope, refuse
from lightspeed.actors.timers import OwnTimer
from lightspeed.actors.watching import Place, end_watch, tell_up

_NO_TIMERS: dict[Hashable, OwnTimer] = {}  # shared, and never added to


class Lifecycle(pykka.Actor):
    """The lifecycle common to `PooledActor` and `Supervisable`.

    It ends once: by a stop; by `Shutdown`, in good order; or by what any of its code raises, but for an Exception in an ask,
    which is its caller's. What it takes to be dead is its kind's own: `_lifecycle_is_dead` and `_lifecycle_take_out`.
    """

    ordered_failures: ClassVar[tuple[type[BaseException], ...]] = ()
    """Exceptions of which actors of the class die by order: no news, so that the death of many writes no log."""

    __slots__ = ()

    _lifecycle_waits_for: Any
    """The actor of which it waits for an answer, or the future that it waits for; None where it does not."""

    _lifecycle_timers = _NO_TIMERS
    """The timers that it started and that are neither over nor cancelled, by name."""

    def on_end(self, error: BaseException | None) -> None:
        """The last of its hooks, called once, however the actor ended; also when it failed in on_start or on_stop.

        Args:
            error: what it died of; None where it was stopped.
        """

    def start_timer(self, name: Hashable, message: Any, delay_s: float, every: bool = False) -> None:
        """Have the actor told a message by itself, later. For the actor's own code, from on_start on.

        A timer of the same name is cancelled first. All of an actor's timers end with it, however it ends.

        Args:
            delay_s: after how many seconds, above 0 and at most a year, by the clock of the actor's pool.
            every: True: again and again, each time so long after the last one was taken from the inbox. Default False.

        Raises:
            InvalidOption: the delay is none, or `every` is not True or False.
            RuntimeError: Python's own: no thread can be started for it.
        """
        check_seconds("delay_s", delay_s)
        if type(every) is not bool:
            raise InvalidOption("every", every, "must be True or False")
        self.cancel_timer(name)
        timer = OwnTimer(name, message, delay_s, every)
        self._lifecycle_put_off(timer)
        if self._lifecycle_timers is _NO_TIMERS:
            self._lifecycle_timers = {}
        self._lifecycle_timers[name] = timer

    def cancel_timer(self, name: Hashable) -> None:
        """Make sure that a timer's message does not come, not even out of the inbox. Harmless where there is no such timer."""
        timer = self._lifecycle_timers.pop(name, None)
        if timer is not None:
            timer.call.cancel()

    def _lifecycle_put_off(self, timer: OwnTimer) -> None:
        timer.call = self._lifecycle_call_later(timer.delay_s, partial(self._lifecycle_ring, timer))

    def _lifecycle_ring(self, timer: OwnTimer) -> None:
        """Called on a thread of the clock's."""
        try:
            self.actor_ref.tell(ProxyCall(attr_path=("_lifecycle_timer_due",), args=(timer,), kwargs={}))
        except (pykka.ActorDeadError, PoolClosed):
            pass  # it will handle nothing any more

    def _lifecycle_timer_due(self, timer: OwnTimer) -> None:
        if self._lifecycle_timers.get(timer.name) is not timer:
            return  # cancelled or started anew, when it was in the inbox already
        if timer.every:
            self._lifecycle_put_off(timer)
        else:
            del self._lifecycle_timers[timer.name]
        self._handle_receive(timer.message)

    # The kind's own

    def _lifecycle_call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        """Make the call after the delay, by the clock of this kind of actor; what is returned can be cancelled."""
        raise NotImplementedError

    def _lifecycle_is_dead(self) -> bool:
        raise NotImplementedError

    def _lifecycle_hold(self, then: Callable[[], None]) -> Callable[[], None]:
        """For the end of the handling of a told message, by the actor's own thread: handle no other until what is returned is
        called, once, by any thread; then `then` is handled, as the rest of this one."""
        raise NotImplementedError

    def _lifecycle_take_out(self) -> None:
        """From here on it is dead to everybody. Again is harmless."""
        raise NotImplementedError

    def _lifecycle_place(self) -> Place:
        raise NotImplementedError

    # Life and death

    def _lifecycle_begin(self) -> None:
        try:
            self.on_start()
            self._lifecycle_come_up()
        except BaseException as error:  # the actor's edge
            if issubclass(type(error), Ignore):
                self._lifecycle_take_out()
            else:
                self._handle_failure(*sys.exc_info())
            self._lifecycle_end(error, in_start=True)

    def _lifecycle_come_up(self) -> None:
        """Its on_start has returned; each kind notes it where its references see it."""
        tell_up(self._lifecycle_place(), self)

    def _lifecycle_answer(self, envelope: Envelope[Any]) -> None:
        reply = envelope.reply_to
        try:
            value = self._handle_receive(envelope.message)
        except Shutdown:
            if reply is not None:
                refuse(envelope, self)
            raise
        except Exception as error:
            if reply is None:
                raise
            log_as_pykka(logging.INFO, "Exception returned to the caller from", self, error)
            reply.set_exception()
        except BaseException:
            if reply is not None:
                reply.set_exception()
            raise
        else:
            if reply is not None:
                reply.set(value)

    def _lifecycle_fail(self, error: BaseException) -> None:
        """The end by what a message raised, within an except clause."""
        if self._lifecycle_is_dead():  # it was stopped in the same message, and failed on its way
            return
        if issubclass(type(error), Shutdown):  # its `__class__` may be the program's
            self._lifecycle_stop(error)
            return
        self._handle_failure(*sys.exc_info())
        try:
            self.on_failure(*sys.exc_info())
        except BaseException:  # the actor's edge
            self._handle_failure(*sys.exc_info())
        self._lifecycle_end(error)

    def _lifecycle_interrupted(self, error: BaseException) -> None:
        """Something was thrown into its thread where no code of its own ran: whatever has become of it, its end is known."""
        if not self._lifecycle_is_dead():
            self._lifecycle_fail(error)
        elif not isinstance(self._lifecycle_place()._lifecycle_exit, ExitReason):
            end_watch(self._lifecycle_place(), self, reason_of(error))

    def _stop(self) -> None:
        self._lifecycle_stop(None)

    def _lifecycle_end_of_given_up(self, *, was_up: bool) -> None:
        """The end of an actor that was taken out from outside, by the thread that ran it last. Harmless where it has had its end.

        Args:
            was_up: whether on_start has returned: else there is nothing to stop.
        """
        if isinstance(self._lifecycle_place()._lifecycle_exit, ExitReason):
            return
        if was_up:
            self._lifecycle_stop(None)
        else:
            self._lifecycle_end(None)

    def _lifecycle_stop(self, error: BaseException | None) -> None:
        self._lifecycle_take_out()
        try:
            self.on_stop()
        except BaseException as raised:  # the actor's edge
            error = raised
            self._handle_failure(*sys.exc_info())
        self._lifecycle_end(error)

    def _handle_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self._lifecycle_take_out()
        if not issubclass(type(exception_value), (*self.ordered_failures, Shutdown)):
            log_as_pykka(logging.ERROR, "Unhandled exception in", self, exception_value)

    def _lifecycle_end(self, error: BaseException | None, *, in_start: bool = False) -> None:
        self._lifecycle_take_out()
        try:
            self.on_end(error)
        except BaseException as raised:  # the actor's edge
            log_as_pykka(logging.ERROR, "Unhandled exception in on_end of", self, raised)
        for name in list(self._lifecycle_timers):
            self.cancel_timer(name)
        if error is not None and issubclass(type(error), self.ordered_failures):
            error.__traceback__ = None  # it leads back to the actor: many that die at once would wait for the collector
        end_watch(self._lifecycle_place(), self, reason_of(error, in_start=in_start))
