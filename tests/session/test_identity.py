"""Who we are: names and indices that runtimes accept, and the environment of a plugin that the runtime launched."""

from __future__ import annotations

import pytest

from koordnri.session.identity import Identity, IdentityError, launched_by_runtime

LAUNCHED = {"NRI_PLUGIN_NAME": "koordnri", "NRI_PLUGIN_IDX": "10", "NRI_PLUGIN_SOCKET": "3"}


@pytest.mark.parametrize("name", ["koordnri", "a", "A.b_c+d-9", "x" * 63])
@pytest.mark.parametrize("index", ["00", "10", "99"])
def test_what_runtimes_accept_is_accepted(name, index):
    identity = Identity(name, index)
    assert (identity.name, identity.index, identity.fd) == (name, index, None)


@pytest.mark.parametrize("name", ["", "x" * 64, "a b", "ä", "a/b", "koordnri\n", "a@b"])
def test_a_name_that_runtimes_refuse_is_refused_with_what_is_expected(name):
    with pytest.raises(IdentityError, match=r"plugin name: expected 1\.\.63 of") as refusal:
        Identity(name, "10")
    assert f'got "{name}"' in str(refusal.value)


@pytest.mark.parametrize("index", ["", "1", "100", "1a", "-1", " 1", "٣٣", "10\n"])
def test_an_index_that_is_not_two_digits_is_refused_with_an_example(index):
    with pytest.raises(IdentityError, match="plugin index: expected two digits such as 10") as refusal:
        Identity("koordnri", index)
    assert f'got "{index}"' in str(refusal.value)


def test_the_environment_of_a_runtime_shows_who_we_are():
    assert launched_by_runtime(LAUNCHED) == Identity("koordnri", "10", 3)


@pytest.mark.parametrize("environ", [{}, {"NRI_PLUGIN_NAME": "koordnri", "NRI_PLUGIN_IDX": "10"}, {"PATH": "/bin"}])
def test_without_its_socket_nobody_launched_us(environ):
    assert launched_by_runtime(environ) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"NRI_PLUGIN_SOCKET": ""}, ["NRI_PLUGIN_SOCKET", "file descriptor", 'got ""']),
        ({"NRI_PLUGIN_SOCKET": "three"}, ["NRI_PLUGIN_SOCKET", 'got "three"']),
        ({"NRI_PLUGIN_SOCKET": "-3"}, ["NRI_PLUGIN_SOCKET", 'got "-3"']),
        ({"NRI_PLUGIN_NAME": ""}, ["NRI_PLUGIN_NAME", "beside NRI_PLUGIN_SOCKET"]),
        ({"NRI_PLUGIN_IDX": ""}, ["NRI_PLUGIN_IDX", "beside NRI_PLUGIN_SOCKET"]),
        ({"NRI_PLUGIN_NAME": "", "NRI_PLUGIN_IDX": ""}, ["NRI_PLUGIN_NAME and NRI_PLUGIN_IDX"]),
        ({"NRI_PLUGIN_IDX": "7"}, ["plugin index", 'got "7"']),
    ],
)
def test_half_an_environment_is_refused_rather_than_guessed(change, words):
    with pytest.raises(IdentityError) as refusal:
        launched_by_runtime(LAUNCHED | change)
    assert all(word in str(refusal.value) for word in words)
