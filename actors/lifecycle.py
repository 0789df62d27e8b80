"""How an actor of ours ends, of whatever kind: whatever its code raises fails that actor alone, and its end is learnt."""

import logging
import sys
from typing import Any, ClassVar

import pykka

from lightspeed.actors.errors import ExitReason, Ignore, Shutdown, reason_of
from lightspeed.actors.logs import log_as_pykka
from lightspeed.actors.pykka_inside import Envelope, refuse
from lightspeed.actors.watching import Place, Up, end_watch


class Lifecycle(pykka.Actor):
    """The lifecycle common to `PooledActor` and `Supervisable`.

    It ends once: by a stop; by `Shutdown`, in good order; or by what any of its code raises, but for an Exception in an ask,
    which is its caller's. What it takes to be dead is its kind's own: `_lifecycle_is_dead` and `_lifecycle_take_out`.
    """

    ordered_failures: ClassVar[tuple[type[BaseException], ...]] = ()
    """Exceptions of which actors of the class die by order: no news, so that the death of many writes no log."""

    __slots__ = ()

    _lifecycle_waits_for: Any
    """The actor of which it waits for an answer; None where it does not."""

    def on_end(self, error: BaseException | None) -> None:
        """The last of its hooks, called once, however the actor ended; also when it failed in on_start or on_stop.

        Args:
            error: what it died of; None where it was stopped.
        """

    # The kind's own

    def _lifecycle_is_dead(self) -> bool:
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
        except BaseException as error:  # the actor's edge
            if issubclass(type(error), Ignore):
                self._lifecycle_take_out()
            else:
                self._handle_failure(*sys.exc_info())
            self._lifecycle_end(error, in_start=True)

    def _lifecycle_announce(self, to: pykka.ActorRef[Any]) -> None:
        """The actor's first message, by which `tell_when_up` learns that on_start has returned."""
        try:
            to.tell(Up(self.actor_ref))
        except pykka.ActorDeadError:
            pass  # nobody is left to be told

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
        if error is not None and issubclass(type(error), self.ordered_failures):
            error.__traceback__ = None  # it leads back to the actor: many that die at once would wait for the collector
        end_watch(self._lifecycle_place(), self, reason_of(error, in_start=in_start))
