"""What a supervisor writes into the log: one line an event, its facts as bound fields."""

from collections.abc import Hashable

from lightspeed.actors.errors import Shutdown
from lightspeed.actors.exits import ExitReason
from lightspeed.actors.logs import logger


def report_end(child_id: Hashable, reason: ExitReason, restarts_left: int, *, restarts: bool) -> None:
    """A child has ended by itself."""
    bound = logger.bind(child=child_id, reason=reason.kind, restarts_left=restarts_left)
    level = "ERROR" if reason.kind == "abnormal" else "INFO"
    what = "is restarted" if restarts else "is not restarted"
    bound.opt(exception=reason.error if level == "ERROR" else None).log(
        level, "child {} ended, {}; it {}", child_id, reason, what
    )


def report_failed_start(child_id: Hashable, error: BaseException, restarts_left: int) -> None:
    """A restart was tried and failed."""
    bound = logger.bind(child=child_id, reason="abnormal", restarts_left=restarts_left)
    bound.opt(exception=error).error("child {} could not be restarted: {!r}", child_id, error)


def report_bad_stop(child_id: Hashable, reason: ExitReason) -> None:
    """A child that was told to stop failed on its way."""
    bound = logger.bind(child=child_id, reason=reason.kind)
    bound.opt(exception=reason.error).error("child {} failed while it was stopped: {}", child_id, reason)


def report_abandoned(child_id: Hashable, actor: object, after: str) -> None:
    """A child's actor was given up."""
    bound = logger.bind(child=child_id, reason="abandoned")
    bound.warning("child {} is abandoned {}: {} may still be running", child_id, after, actor)


def report_given_up(error: BaseException) -> None:
    """A supervisor stops its children and ends."""
    expected = isinstance(error, Shutdown)
    logger.opt(exception=None if expected else error).log("INFO" if expected else "ERROR", "a supervisor ends: {}", error)
