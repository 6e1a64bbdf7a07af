"""GET /v1/holdings: who has which exclusive CPUs."""

from koordnri.answers.holdings import list_holdings
from koordnri.cpus.holding import Holding
from koordnri.model import CPUSet, Pod


def cpus(text: str) -> CPUSet:
    return CPUSet.parse(text)


def test_cpus_with_those_to_come_by_container_without_ended_ones_and_pods_that_are_gone() -> None:
    held = {
        "uid-a": {
            "main": Holding(cpus("2-3"), "PCPULevel", lse=True, coming=cpus("6")),
            "init": Holding(cpus("2"), spent=True),
        },
        "uid-gone": {"main": Holding(cpus("5"))},
    }
    assert list_holdings(held, [Pod("sandbox", "uid-a", "shop", "a")]) == [
        {
            "namespace": "shop",
            "pod": "a",
            "uid": "uid-a",
            "container": "main",
            "allocated": "2-3,6 PCPULevel",
            "lse": True,
        }
    ]
