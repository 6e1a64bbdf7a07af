"""Why a watch had to restart."""

from __future__ import annotations

from enum import StrEnum

from koordnri.kube.errors import ApiRefused, Disconnected, Garbled, KubeError, Silent, Unreachable


class Restart(StrEnum):
    """A small fixed set, since it labels a metric."""

    ENDED = "ended"
    """the server's own time limit; normal"""
    EXPIRED = "expired"
    """410: the server has compacted our version; all objects are listed again"""
    THROTTLED = "throttled"
    """429, or another error status with a Retry-After"""
    UNAUTHORIZED = "unauthorized"
    """401: the credentials were loaded again"""
    ABSENT = "absent"
    """404: the API has no such kind (yet); only for optional kinds"""
    FORBIDDEN = "forbidden"
    """403: RBAC"""
    REFUSED = "refused"
    """another error status"""
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    DISCONNECTED = "disconnected"
    GARBLED = "garbled"
    """no JSON, half a line, objects of another kind"""
    CREDENTIALS = "credentials"
    """on our side: the token or certificate could not be read"""


def restart_of(error: KubeError) -> Restart:
    """The reason that an error of the API server, or of the way to it, stands for."""
    match error:
        case ApiRefused(status=410):
            return Restart.EXPIRED
        case ApiRefused(status=401):
            return Restart.UNAUTHORIZED
        case ApiRefused(status=403):
            return Restart.FORBIDDEN
        case ApiRefused(status=404):
            return Restart.ABSENT
        case ApiRefused(status=429):
            return Restart.THROTTLED
        case ApiRefused():
            return Restart.REFUSED if error.retry_after_s is None else Restart.THROTTLED
        case Unreachable():
            return Restart.UNREACHABLE
        case Silent():
            return Restart.SILENT
        case Disconnected():
            return Restart.DISCONNECTED
        case Garbled():
            return Restart.GARBLED
        case _:
            return Restart.CREDENTIALS
