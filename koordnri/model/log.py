"""The log of all rooms: event names with keys, as in structlog's loggers."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """One call writes one line. `exc_info=True` adds the traceback of the exception that is being handled."""

    def debug(self, event: str, **keys: Any) -> Any:
        """For people who look into a single decision."""

    def info(self, event: str, **keys: Any) -> Any:
        """Something happened."""

    def warning(self, event: str, **keys: Any) -> Any:
        """Something does not work as wanted; somebody may have to fix it."""

    def error(self, event: str, **keys: Any) -> Any:
        """Something is broken."""

    def bind(self, **keys: Any) -> Log:
        """The same log, with these keys on every line."""
