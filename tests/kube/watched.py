"""What the tests of the watches share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koordnri.kube import Api, ConfigMapWatch, Timing
from koordnri.kube.watch import Watch
from tests.kube.fake_api import Seen

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: fake, user: me}}}}]
clusters: [{{name: fake, cluster: {{server: "{server}"}}}}]
users: [{{name: me, user: {{tokenFile: token}}}}]
"""


def write_kubeconfig(folder: Path, server: str) -> Path:
    """With the token `first` in a file beside it."""
    (folder / "token").write_text("first")
    path = folder / "kubeconfig"
    path.write_text(KUBECONFIG.format(server=server))
    return path


class Watching:
    """A ConfigMap's watch under test: what it reported, how long it wanted to wait, what killed it. It never really waits."""

    def __init__(self, api: Api, log: Any, timing: Timing, **keywords: Any) -> None:
        self.reported: Seen[tuple[dict[str, str] | None, str]] = Seen()
        self.pauses: Seen[float] = Seen()
        self.deaths: Seen[BaseException] = Seen()
        settings = {
            "timing": timing,
            "on_death": self.deaths.append,
            "uniform": lambda low, high: high,
            "pause": self._pause,
            **keywords,
        }
        self.noun = ConfigMapWatch(api, "koordnri-system", "policy", self._take, log, **settings)
        self.watch = self.noun.watch
        self.stats = self.watch.stats

    def _take(self, data: Any, version: str) -> None:
        self.reported.append((None if data is None else dict(data), version))

    def _pause(self, stop: threading.Event, pause_s: float) -> None:
        self.pauses.append(pause_s)


IMPATIENT = Timing(first_pause_s=0.001, relist_spread_s=0.001)


@contextmanager
def running(watch: Watch[Any]) -> Iterator[None]:
    watch.start()
    try:
        yield
    finally:
        watch.stop()
        assert not watch.alive
