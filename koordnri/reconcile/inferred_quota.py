"""kubelet's quota of a pod, inferred from its containers when the pod's file does not show it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from koordnri.chain import Chain, Snapshot
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, Pod, fields
from koordnri.reconcile.pods_quota import pods_quota, quotas_by_name
from koordnri.state.ledger import Ledger


class InferredQuota:
    """Used by the reconcile thread."""

    def __init__(self, chain: Chain, ledger: Ledger) -> None:
        self._chain = chain
        self._ledger = ledger
        self._quotas: dict[str, dict[str, int]] = {}
        """pod → container name → kubelet's quota for it, 0 for none; kept for containers that are gone, since they may return"""

    def keep(self, pod_ids: Collection[str]) -> None:
        """These are all pods."""
        self._quotas = {pod_id: quotas for pod_id, quotas in self._quotas.items() if pod_id in pod_ids}

    def of(
        self,
        pod: Pod,
        before: Mapping[str, Any],
        containers: Sequence[Container],
        snapshot: Snapshot,
        writer: Writer,
        directory: str,
    ) -> dict[str, Any]:
        """Name of the field → kubelet's quota in µs, and stores it as the original; empty when the pod's file shows it, or nothing does.

        Case 1: the containers were resized, and kubelet's new value of the pod equals the one that we had written. A container that
        crashed, and so is missing or listed twice for a while, is no resize: kubelet's value depends on the pod's spec.
        Case 2: the state directory was lost. The file's value is ours if it equals what we would make of the sum.
        """
        name = fields.CPU_QUOTA.name
        last = self._quotas.get(pod.id)
        now = quotas_by_name(pod, containers, last or {})
        self._quotas[pod.id] = now
        total = pods_quota(pod, now)
        if not total:
            return {}
        if last is not None:
            resized = any(last.get(container, quota) != quota for container, quota in now.items())
            if not resized or before.get(name) != pods_quota(pod, last):
                return {}
            self._ledger.rebase(pod.id, name, total)
            return {name: total}
        found = None if name in before else writer.read(directory, fields.CPU_QUOTA).value
        # No limit: kubelet may never have set one, and there is nothing to scale.
        if found is None or found <= 0 or found == total:
            return {}
        as_set = pod.with_resources(msgspec.structs.replace(pod.resources, cpu_quota=total))
        if self._chain.decide_pod(as_set, snapshot, containers).value(fields.CPU_QUOTA) != found:
            return {}
        self._ledger.intend(pod.id, {name: total})
        return {name: total}
