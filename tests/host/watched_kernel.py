"""A fake kernel to which something happens at the n-th call, whatever that call is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.host.fake_kernel import FakeKernel

NEVER = 1 << 30


class WatchedKernel(FakeKernel):
    """`then` is called with the path of call number `at`, before it is answered; it may change `cgroups`, or raise."""

    def __init__(self, version: int, paths: Iterable[str] = ()) -> None:
        super().__init__(version, paths)
        self.calls = 0
        self.at = NEVER
        self.then: Callable[[str], None] = lambda path: None

    def at_call(self, number: int, then: Callable[[str], None]) -> None:
        """Count again, and do this at that call."""
        self.calls, self.at, self.then = 0, number, then

    def _call(self, path: str) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.then(path)

    def exists(self, path: str) -> bool:
        self._call(path)
        return super().exists(path)

    def read(self, path: str) -> str:
        self._call(path)
        return super().read(path)

    def write(self, path: str, text: str) -> None:
        self._call(path)
        super().write(path, text)
