"""Wait until every node has run `koordnri release --all`. Part of the chart's pre-delete hook.

    wait_for_release.py URL SECRETS SECONDS

URL       of the hook's DaemonSet at the API server
SECRETS   directory with the service account's token and ca.crt
SECONDS   the longest wait

A pod of that DaemonSet is ready once its init container, which releases, has ended well. Helm itself waits for Jobs and pods only.
Ends with 0 when all are ready, with 1 when they are not in time. What the API server refuses is asked again: a new right takes
a moment to hold.
"""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path

PAUSE_S = 2
"""between two requests"""


def daemon_set(url: str, secrets: Path) -> dict:
    """The DaemonSet as the API server has it. Raises OSError."""
    token = (secrets / "token").read_text()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=secrets / "ca.crt") if url.startswith("https") else None
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.load(answer)


def counts(found: dict) -> tuple[int, int] | None:
    """(ready, wanted) numbers of nodes; None while the controller has not seen the DaemonSet."""
    status = found.get("status", {})
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return None
    return status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)


def main() -> int:
    """Wait; returns the exit code."""
    url, secrets, end_s = sys.argv[1], Path(sys.argv[2]), time.monotonic() + float(sys.argv[3])
    while True:
        seen = "the DaemonSet's controller has not seen it"
        try:
            now = counts(daemon_set(url, secrets))
        except (OSError, ValueError) as error:
            now, seen = None, f"{url}: {error}"
        if now is not None:
            seen = f"{now[0]} of {now[1]} nodes have released"
            if now[0] >= now[1]:
                print(seen)
                return 0
        if time.monotonic() >= end_s:
            break
        time.sleep(PAUSE_S)
    print(
        f"{seen}; `kubectl get pods -l app.kubernetes.io/name=koordnri-release -o wide` shows the pods, the log of their"
        " container release why; `helm uninstall --no-hooks` removes koordnri without releasing",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
