"""How far the plugin has come with its runtime."""

from koordnri.session.registration import Registration, State


def test_it_begins_disconnected_with_a_reason() -> None:
    registration = Registration()
    assert (registration.state, registration.problem) == (State.DISCONNECTED, "not connected yet")
    assert registration.stats.synchronized_at_s is None


def test_synchronized_has_a_time_and_no_problem() -> None:
    registration = Registration()
    registration.enter(State.CONFIGURED, "waiting")
    registration.synchronized()
    assert (registration.state, registration.problem) == (State.SYNCHRONIZED, "")
    assert registration.stats.synchronized_at_s is not None


def test_events_are_counted_by_outcome() -> None:
    registration = Registration()
    for outcome in ("ok", "late", "ok"):
        registration.count("CreateContainer", outcome)
    assert registration.stats.events == {("CreateContainer", "ok"): 2, ("CreateContainer", "late"): 1}
