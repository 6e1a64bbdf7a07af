"""Fields that an old runtime does not know."""

import pytest

from koordnri.runtime.adjustments import Adjustments
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.runtime.one_request import Adjust, answer, linux, request, resources, text


@pytest.mark.parametrize(
    ("since", "adjust", "dropped"),
    [
        (Version(0, 7, 0), linux(oom_score_adj=api.OptionalInt(value=1)), "OomScoreAdj"),
        (Version(0, 7, 0), resources(pids=api.LinuxPids(limit=1)), "PidsLimit"),
        (Version(0, 10, 0), Adjust(args=["x"]), "Args"),
        (Version(0, 11, 0), linux(rdt=api.LinuxRdt(clos_id=text(value="x"))), "RdtClosID"),
        (Version(0, 12, 0), linux(memory_policy=api.LinuxMemoryPolicy(nodes="0")), "MemoryPolicy"),
    ],
)
def test_an_old_runtime_drops_what_it_does_not_know(since: Version, adjust: Adjust, dropped: str) -> None:
    before = since._replace(minor=since.minor - 1)
    for version, owned in ((before, {}), (since, {dropped: "05-a"})):
        merged = Adjustments(request(), version)
        merged.apply(answer(adjust), "05-a")
        assert merged.owners.of("c1") == owned
