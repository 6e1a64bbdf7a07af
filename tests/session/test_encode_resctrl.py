"""A resctrl group goes to the runtime only when it exists: the runtime would fail a container that names another one."""

import pytest

from koordnri.model import NodeState
from koordnri.model.decision import Setting
from koordnri.model.fields import RDT_CLOSID
from koordnri.model.routes import ADJUST, RESCTRL
from koordnri.session.encode import put_adjustment
from koordnri.wire import api_pb2 as api


@pytest.mark.parametrize(("route", "named"), [(ADJUST, True), (RESCTRL, False)])
@pytest.mark.parametrize("nri", [(0, 6, 1), (0, 11, 0)])
def test_a_group_that_the_daemon_itself_will_bring_about_is_not_named(route, named, nri):
    adjust = api.ContainerAdjustment()
    put_adjustment(
        adjust, [Setting(RDT_CLOSID, "", "BE", "rdt", "resctrl group of the class", route)], NodeState(), nri
    )
    assert ("BE" in str(adjust)) is named
