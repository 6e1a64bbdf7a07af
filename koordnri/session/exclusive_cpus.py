"""What the event path needs of the allocator of exclusive CPUs (koordnri.daemon.exclusive_cpus)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from koordnri.cpus import restore
from koordnri.cpus.kubelet_pins import Found
from koordnri.model import Container, CPUSet, Pod
from koordnri.model.allocated import Allocated


class ExclusiveCPUs(Protocol):
    """Gives exclusive CPUs to containers where no scheduler does."""

    late: int
    """containers that started before all others had left their CPUs"""

    def give(self, pod: Pod, container: Container) -> Allocated:
        """CPUs for a container that is about to be created, to be noted with it; NOT_ALLOCATED when it gets none. The handler's snapshot
        has them then. Raises chain.Refused.
        """

    def resized(self, pod: Pod, container: Container) -> Allocated | None:
        """kubelet resizes a container in place, to `container.baseline`. What it has from now on, to be noted with it; None when that is as
        before. The handler's snapshot has it then.
        """

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """A container's environment says that a DRA driver gave it CPUs. Where that is believed (koordnri.cpus.dra), the handler's
        snapshot has it then.
        """

    def kubelet_says(self, pod: Pod, container: Container, cpus: CPUSet, *, new: bool) -> None:
        """kubelet, whose CPU manager is static, creates a container (`new`) or updates it. `cpus` is the cpuset of this request, empty
        when it carries none. The handler's snapshot knows then which CPUs are pinned.
        """

    def gave(self, pod: Pod, container_id: str) -> None:
        """The runtime has been told: now the others must go."""

    def wait_until_clear(self, container_id: str, budget_s: float) -> None:
        """Before its first process runs: until the others have left its CPUs, or the chain's budget is used up."""

    def container_ended(self, pod: Pod, name: str) -> None:
        """A container of a running pod has ended; kubelet may create it again."""

    def pod_came(self, pod: Pod) -> None:
        """A pod was started. A scheduler may have assigned CPUs to it."""

    def pod_went(self, pod: Pod) -> None:
        """A sandbox was stopped or removed. Unless the pod has another one, its CPUs are free."""

    def restore(self, found: Sequence[tuple[str, restore.Found]], pinned: Iterable[Found]) -> Mapping[str, Allocated]:
        """Synchronize: (id, container) of all that there are, and, where kubelet's CPU manager is static, the same for its pins.

        Id of a container that lives → what is to be noted with it.
        """
