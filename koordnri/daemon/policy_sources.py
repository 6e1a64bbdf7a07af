"""Sources of the policy's text: a file, the runtime that launched us, a ConfigMap, or the last good policy."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from koordnri.host.file_watch import FileWatch
from koordnri.model.log import Log
from koordnri.policy import PolicyDocument, load_data, load_policy, read_policy
from koordnri.policy.standing import RefusedPolicy, StandingPolicy
from koordnri.state.containment import Faults
from koordnri.state.files import LAST_GOOD, StateFile


class PolicySources:
    """Passes what it reads to the standing policy, which accepts or refuses it.

    enforce   see StandingPolicy
    refused   called with each refused document
    path      the policy file; None without one
    changed   called from another thread when it is time to `scan`
    faults    counts and reports a bug in the watch of the file, which is polled from then on
    """

    def __init__(
        self,
        standing: StandingPolicy,
        enforce: Callable[[], None],
        refused: Callable[[RefusedPolicy], None],
        path: Path | None,
        state_dir: Path,
        log: Log,
        changed: Callable[[], None],
        faults: Faults,
    ) -> None:
        self._enforce = enforce
        self._refused = refused
        self._standing = standing
        self._path = path
        self._changed = changed
        self._faults = faults
        self._watch: FileWatch | None = None
        self._seen: object = None
        self._last_good = StateFile(state_dir, LAST_GOOD, dict[str, str])
        self._log = log

    def watch(self) -> None:
        """Call `changed` from now on when the file changes; without inotify nothing is called."""
        if self._path is not None:
            try:
                self._watch = FileWatch(self._path, self._changed, lambda bug: self._faults.caught("policy", bug))
            except OSError as error:
                self._log.warning("policy_file_not_watched", path=str(self._path), error=str(error))

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()

    @property
    def must_be_asked(self) -> bool:
        """Whether there is a file whose changes are not reported, so that it must be polled."""
        return self._path is not None and (self._watch is None or not self._watch.watching)

    def scan(self) -> None:
        """Read the policy file if it has changed since the last scan."""
        path = self._path
        if path is None:
            return
        if self._watch is not None:
            self._watch.renew()
        seen = _fingerprint(path)
        if seen != self._seen:
            self._seen = seen
            self._take(lambda: read_policy(path), str(path))

    def take_runtime_config(self, text: str) -> None:
        """The runtime that launched us passed its configuration file for us: it is the policy."""
        source = "the runtime's plugin configuration"
        self._take(lambda: load_policy(text, source), source)

    def take_configmap(self, data: Mapping[str, str] | None, source: str) -> None:
        """A deleted ConfigMap (None) means the defaults, as upstream. An accepted policy is saved."""
        if data is None:
            self._reported(self._standing.take_defaults(f"there is no {source}", self._enforce))
        elif not self._take(lambda: load_data(data, source), source):
            return
        try:
            self._last_good.save({} if data is None else dict(data))
        except OSError as error:
            self._log.error("state_not_saved", path=str(self._last_good.path), error=str(error))

    def load_last_good(self) -> None:
        """Use the last good policy until the API server answers. It may never answer while this node is up."""
        data, problem = self._last_good.load()
        if problem:
            self._log.warning("state_file_bad", error=problem)
        if data:
            source = f"the last good policy in {self._last_good.path}"
            self._take(lambda: load_data(data, source), source)

    def _take(self, read: Callable[[], PolicyDocument], source: str) -> bool:
        return self._reported(self._standing.take(read, source, self._enforce))

    def _reported(self, taken: bool) -> bool:
        if not taken and (refused := self._standing.refused) is not None:
            self._refused(refused)
        return taken


def _fingerprint(path: Path) -> Any:
    """A value that changes when the file (or the directory of a mounted ConfigMap, through its symlinks) is replaced."""
    try:
        own = os.stat(path)
        if not stat.S_ISDIR(own.st_mode):
            return (own.st_ino, own.st_mtime_ns, own.st_size)
        return [(str(n), s.st_ino, s.st_mtime_ns, s.st_size) for n in sorted(path.iterdir()) for s in (n.stat(),)]
    except OSError as error:
        return str(error)
