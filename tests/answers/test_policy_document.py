"""GET /v1/policy-document: the policy in force, in a form that reads back as the same policy."""

import json

import pytest

from koordnri.answers.policy_document import policy_document
from koordnri.policy import load_data, load_policy, resolve

DOCUMENTS = {
    "manifest": 'kind: ConfigMap\ndata:\n  cpu-normalization-config: \'{"enable": true, "defaultRatio": 1.5}\'\n',
    "mapping": "koordnri-config: {hooks: {rdt: {mode: off}, com.example.mine: {options: {level: 3}}}, reservedCPUs: 0-1}\n",
    "strategies": """
resource-qos-config:
  clusterStrategy: {lsClass: {memoryQOS: {enable: true}}}
  nodeStrategies: [{name: big, nodeSelector: {matchLabels: {size: big}}, lsClass: {memoryQOS: {minLimitPercent: 40}}}]
""",
    "empty": "{}",
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_it_reads_back_with_the_same_revision_and_meaning(text: str) -> None:
    document = load_policy(text, "file")
    answer = json.loads(json.dumps(policy_document(document)))
    again = load_data(answer["data"], answer["source"])
    assert (again.revision, again.source) == (document.revision, "file")
    for labels in ({}, {"size": "big"}):
        assert resolve(again, "n", labels) == resolve(document, "n", labels)


def test_keys_of_others_are_left_out() -> None:
    data = {"koordnri-config": "{}", "colocation-config": "{}", "password": "secret"}
    assert policy_document(load_data(data, "ConfigMap"))["data"] == {"koordnri-config": {}}


def test_under_the_defaults_there_is_no_document() -> None:
    assert policy_document(None)["data"] is None
