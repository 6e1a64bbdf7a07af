"""What the event path needs of the allocator of exclusive CPUs (koordnri.daemon.exclusive_cpus)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from koordnri.cpus import restore
from koordnri.cpus.kubelet_pins import FoundPin
from koordnri.model import Container, CPUSet, Pod
from koordnri.model.allocated import Allocated


class ExclusiveCPUsPort(Protocol):
    """Gives exclusive CPUs to containers where no scheduler does."""

    late: int
    """containers that started before all others had left their CPUs"""

    def give(self, pod: Pod, container: Container) -> Allocated:
        """Allocate CPUs for a new container; NOT_ALLOCATED when it gets none. The handler's snapshot has them afterwards. Raises
        chain.ContainerRefused.
        """

    def resized(self, pod: Pod, container: Container) -> Allocated | None:
        """kubelet resizes a container in place, to `container.baseline`. Returns its CPUs from now on; None when they did not change. The
        handler's snapshot has them afterwards.
        """

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """A container's environment claims CPUs from a DRA driver. If that is believed (koordnri.cpus.dra), the handler's snapshot has
        them afterwards.
        """

    def kubelet_says(self, pod: Pod, container: Container, cpus: CPUSet, *, new: bool) -> None:
        """kubelet, whose CPU manager is static, creates a container (`new`) or updates it. `cpus`: the cpuset of this request, empty when
        it has none. The handler's snapshot has the pinned CPUs afterwards.
        """

    def gave(self, pod: Pod, container_id: str) -> None:
        """The reply was sent: now all others must leave the CPUs."""

    def wait_until_clear(self, container_id: str, budget_s: float) -> None:
        """Before the container's first process runs: wait until all others have left its CPUs, but no longer than `budget_s`."""

    def container_ended(self, pod: Pod, name: str) -> None:
        """A container of a running pod has ended; kubelet may create it again."""

    def pod_came(self, pod: Pod) -> None:
        """A pod was started. A scheduler may have assigned CPUs to it."""

    def pod_went(self, pod: Pod) -> None:
        """A sandbox was stopped or removed. Unless the pod has another one, its CPUs are free."""

    def restore(
        self, found: Sequence[tuple[str, restore.FoundHolding]], pinned: Iterable[FoundPin]
    ) -> Mapping[str, Allocated]:
        """Synchronize: (id, container) of all containers and, if kubelet's CPU manager is static, the same for its pins.

        Returns id of a running container → CPUs for its note.
        """
