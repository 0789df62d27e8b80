"""Logging with a library's manners: silent until the user says `logger.enable("lightspeed")`.

Pykka logs through standard logging. While lightspeed is enabled, Pykka's records go where loguru's go, with the topic and
incarnation of the actor that they are about. While it is disabled, the failures of our own actors are not printed by
logging's last resort; those of other Pykka actors are, as without us, and handlers that the user installed get everything.
"""

import logging

from loguru import logger

from lightspeed.actors.current import current_actor

__all__ = ["lead_pykka_records", "logger"]


class PykkaRecords(logging.Handler):
    """Leads Pykka's records into loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] | None = getattr(current_actor(), "log_fields", None)
        # Our actors log their failures themselves, with the traceback: once is enough.
        exception = record.exc_info if fields is None else None
        place = {"name": record.name, "function": record.funcName, "line": record.lineno}
        bound = logger.bind(**(fields or {})).patch(lambda entry: entry.update(place))  # type: ignore[typeddict-item]
        bound.opt(exception=exception).log(record.levelname, "{}", record.getMessage())
        if fields is None and self._is_alone():
            self._last_resort(record)

    def _is_alone(self) -> bool:
        return logging.getLogger("pykka").handlers == [self] and not logging.getLogger().handlers

    def _last_resort(self, record: logging.LogRecord) -> None:
        last = logging.lastResort
        if last is not None and record.levelno >= last.level:
            last.handle(record)


def lead_pykka_records() -> None:
    """Install the one handler on Pykka's logger. Again is harmless."""
    pykka_logger = logging.getLogger("pykka")
    if not any(isinstance(handler, PykkaRecords) for handler in pykka_logger.handlers):
        pykka_logger.addHandler(PykkaRecords())
