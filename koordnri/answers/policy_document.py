"""`GET /v1/policy-document`: the policy in force as its author wrote it, so that a decision can be repeated at a desk.

    {"revision", "source", "data": {key: value}}

`data` is null while the defaults are in force. It has only the keys that koordnri acts on, so nothing else of the ConfigMap. Read again, it
has the same revision.
"""

from __future__ import annotations

import json
from typing import Any

from koordnri.policy import PolicyDocument


def policy_document(document: PolicyDocument | None) -> dict[str, Any]:
    """The shape of the module. `document`: the one in force, None for the defaults."""
    if document is None:
        return {"revision": "default", "source": "", "data": None}
    return {"revision": document.revision, "source": document.source, "data": json.loads(document.content)}
