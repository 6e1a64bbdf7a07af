"""The log that every room writes to: names of events with keys, as structlog's loggers take them."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """One call is one line. `exc_info=True` adds the trace of the exception that is being handled."""

    def debug(self, event: str, **keys: Any) -> Any:
        """For who looks into a single decision."""

    def info(self, event: str, **keys: Any) -> Any:
        """What happened."""

    def warning(self, event: str, **keys: Any) -> Any:
        """Something does not work as wanted; somebody may have to mend it."""

    def error(self, event: str, **keys: Any) -> Any:
        """Something is broken."""

    def bind(self, **keys: Any) -> Log:
        """The same log, with these keys on every line."""
