"""Logging with a library's manners: silent until the user says `logger.enable("lightspeed")`.

Pykka logs through standard logging, silently too: it has a null handler. While lightspeed is enabled, Pykka's records also go
where loguru's go, with the topic and incarnation of the actor that they are about. Handlers of the user's on Pykka's logger, or
above it, get what they always got.
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


def lead_pykka_records() -> None:
    """Install the one handler on Pykka's logger. Again is harmless."""
    pykka_logger = logging.getLogger("pykka")
    if not any(isinstance(handler, PykkaRecords) for handler in pykka_logger.handlers):
        pykka_logger.addHandler(PykkaRecords())
