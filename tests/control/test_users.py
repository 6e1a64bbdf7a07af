"""Who used how much, the most beyond its request first."""

from __future__ import annotations

from koordnri.control.averages import Averages
from koordnri.control.finding import Resource
from koordnri.control.users import Users
from tests.control.neighbour_pods import GI, one_pod, tick

PODS = (
    one_pod("web", request_milli=1000, used_cores=1.0, memory_bytes=GI, request_bytes=GI, cpus="0-3"),
    one_pod("small", request_milli=500, used_cores=1.0, memory_bytes=GI // 2, cpus="0-3"),
    one_pod("large", used_cores=4.0, memory_bytes=GI, request_bytes=GI, cpus="3-7"),
    one_pod("far", used_cores=9.0, cpus="4-7"),
)


def beyond(victim: int, resource: Resource, most: int | None) -> list[str]:
    at = tick(0.0, PODS)
    window = Averages(1.0).add(at)
    assert window is not None
    return [one.name for one in Users(at, window).beyond(PODS[victim], resource, most)]


def test_those_who_may_run_on_the_victims_cpus_the_most_first():
    assert beyond(0, Resource.CPU, None) == ["shop/large", "shop/small"]
    assert beyond(0, Resource.CPU, 1) == ["shop/large"]


def test_only_those_who_took_more_than_the_victim():
    assert beyond(1, Resource.CPU, None) == ["shop/large"]
    assert beyond(3, Resource.CPU, None) == []


def test_of_memory_wherever_they_run():
    assert beyond(0, Resource.MEMORY, None) == ["shop/small"]
