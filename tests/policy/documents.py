"""Policy documents as texts, and what loading them says."""

import pytest

from koordnri.policy import PolicyError, load_policy, resolve
from tests.support.policies import policy_of


def mistakes(text):
    with pytest.raises(PolicyError) as refused:
        load_policy(text, "test")
    return [str(mistake) for mistake in refused.value.mistakes]


def warnings(text):
    return [str(warning) for warning in load_policy(text, "test").warnings]


def policy_of_text(text, **labels):
    return resolve(load_policy(text, "test"), "", labels)


def policy_with(key, json_path, value):
    for name in reversed(json_path.split(".")):
        value = {name: value}
    return policy_of(**{key: value})
