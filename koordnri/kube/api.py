"""Requests to the API server through the official client's connection pool. Answers are bytes.

There are no model objects: a decoded V1Pod is about 50 times the size of what is kept of a pod.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from koordnri.kube.errors import ApiRefused, Disconnected, Garbled, NotConfigured, Silent, Unreachable, excerpt
from koordnri.kube.objects import DECODE_ERRORS, decode_status
from koordnri.kube.official import HOST_VARIABLE, SERVICE_ACCOUNT, Access, from_kubeconfig, in_cluster

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

MAX_LIST_BYTES = 1 << 30
"""Largest list accepted. A node has hundreds of pods at most, a few MiB; the objects of a list are never held together."""
MAX_BODY_BYTES = 4 << 20
"""Largest answer that is one object; an object has at most about 1.5 MiB."""
MAX_ERROR_BYTES = 64 << 10
_CHUNK_BYTES = 64 << 10


def connect(
    kubeconfig: Path | None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Api:
    """Use the kubeconfig, or else the service account of the pod that koordnri runs in. Sends nothing yet.

    Raises NotConfigured. It imports the official client, so call it in the main thread before the watches start.
    """
    if kubeconfig is not None:
        return Api(lambda: from_kubeconfig(kubeconfig))
    if environ.get(HOST_VARIABLE):
        return Api(lambda: in_cluster(environ, service_account))
    raise NotConfigured(
        f"no way to the API server: not in a pod ({HOST_VARIABLE} is not set) and no kubeconfig; give --kubeconfig FILE"
    )


class Api:
    """Shared by all watches and by the Event sender; any thread may use it. `load` loads the credentials, each time it is called."""

    def __init__(self, load: Callable[[], Access], clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._access = load()
        self.generation = 0
        """grows each time credentials are loaded"""

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._access.server

    def reload(self, generation: int) -> None:
        """Load the credentials again, unless somebody has done so since `generation` was read. Raises NotConfigured.

        So two watches whose expired token is refused cause one reload, not two.
        """
        with self._lock:
            if generation != self.generation:
                return
            access, old = self._load(), self._access
            self._access = access
            self.generation += 1
        old.pool.clear()  # closes idle connections; a stream that is being read keeps its own

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        *,
        connect_s: float = 5.0,
        read_s: float = 30.0,
    ) -> ApiReply:
        """Send a request and wait for the head of the answer.

        connect_s, read_s   longest wait in s for the connection, and for each piece of the answer
        Raises NotConfigured (credentials), Unreachable, ApiRefused (no 2xx).
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        access = self._access
        headers = {
            "Accept": "application/json",
            # The API server compresses answers of 128 KiB or more, and no watch. A list of 110 pods has 1 MB, compressed less than 0.1.
            "Accept-Encoding": "gzip",
            "User-Agent": "koordnri",
            **access.authorization(),
        }
        if body is not None:
            headers["Content-Type"] = content_type
        url = access.server + path + (f"?{urlencode(query)}" if query else "")
        what = f"{method} {path}"
        try:
            response = access.pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=Timeout(connect=connect_s, read=read_s),
                preload_content=False,
                decode_content=True,
            )
        except (HTTPError, OSError, ValueError) as error:
            raise Unreachable(f"{what}: cannot reach {access.server}: {excerpt(str(error), 300)}") from None
        reply = ApiReply(response, what, self._clock)
        if not 200 <= response.status < 300:
            raise _refusal(reply)
        return reply


class ApiReply:
    """The answer to one request. Close it. `abort` ends a read that blocks in another thread."""

    def __init__(self, response: BaseHTTPResponse, what: str, clock: Callable[[], float]) -> None:
        self.status = response.status
        self.headers = response.headers
        self.what = what
        self._response = response
        self._clock = clock

    def __enter__(self) -> ApiReply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def chunks(self) -> Iterator[bytes]:
        """The pieces of the body, as they arrive. Raises Silent (nothing within read_s) and Disconnected."""
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        while True:
            try:
                chunk = self._response.read1(_CHUNK_BYTES)
            except (ReadTimeoutError, TimeoutError):
                raise Silent(f"{self.what}: the API server went silent") from None
            except (HTTPError, OSError, ValueError) as error:  # ValueError: a TLS socket that `abort` shut down
                raise Disconnected(f"{self.what}: connection lost: {excerpt(str(error), 200)}") from None
            if not chunk:
                return
            yield chunk

    def pieces(self, limit_bytes: int = MAX_LIST_BYTES, within_s: float = 30.0) -> Iterator[bytes]:
        """The pieces of the body. Raises Garbled when it is longer than `limit_bytes`, Silent when it takes longer, Disconnected."""
        deadline, taken = self._clock() + within_s, 0
        for chunk in self.chunks():
            taken += len(chunk)
            if taken > limit_bytes:
                raise Garbled(f"{self.what}: expected at most {limit_bytes} bytes, got more")
            if self._clock() > deadline:
                raise Silent(f"{self.what}: the answer took longer than {within_s:g} s")
            yield chunk

    def read(self, limit_bytes: int = MAX_BODY_BYTES, within_s: float = 30.0) -> bytes:
        """The whole body; raises as `pieces` does."""
        return b"".join(self.pieces(limit_bytes, within_s))

    def abort(self) -> None:
        """For another thread: the reader gets Disconnected, or the end of the body. Safe to call at any time."""
        # RuntimeError, ValueError: the response has already ended.
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            self._response.shutdown()

    def close(self) -> None:
        """Keep the connection for the next request when the body was read to its end; otherwise close it."""
        with contextlib.suppress(OSError, ValueError):
            self._response.close()


def _refusal(reply: ApiReply) -> ApiRefused:
    with reply:
        try:
            body = reply.read(MAX_ERROR_BYTES, within_s=5.0)
        except (Garbled, Silent, Disconnected):
            body = b""
    message = ""
    with contextlib.suppress(*DECODE_ERRORS):
        message = decode_status(body).message
    return ApiRefused(
        reply.what,
        reply.status,
        excerpt(message, 500) if message else excerpt(body) or "(no message)",
        retry_after_s(reply.headers.get("Retry-After")),
    )


def retry_after_s(text: str | None) -> float | None:
    """Seconds of a Retry-After; None for a date. The API server sends whole seconds; a proxy could send a date, and our own pauses then
    apply."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
