"""The parts of the official kubernetes client that koordnri uses: kubeconfig, the pod's own credentials, tokens, TLS, proxies.

Importing it whole costs 19 MB of private memory on every node, almost all for unused parts: model objects, pydantic, requests, OAuth.
In a pod three of its modules (1 MB) suffice. There they are imported without running their packages' __init__. If that fails, with
another version of the client, the whole client is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from koordnri.kube.errors import NotConfigured

if TYPE_CHECKING:
    from kubernetes.client.configuration import Configuration
    from urllib3 import PoolManager

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST_VARIABLE = "KUBERNETES_SERVICE_HOST"


class Access(NamedTuple):
    """Credentials, as loaded once."""

    server: str
    """URL without a trailing slash"""
    pool: PoolManager
    authorization: Callable[[], dict[str, str]]
    """headers of a request; reads a rotated token again. Raises NotConfigured."""


def from_kubeconfig(path: Path) -> Access:
    """Credentials of a kubeconfig. Raises NotConfigured with the file and what is wrong in it."""
    from kubernetes.client.configuration import Configuration
    from kubernetes.config import load_kube_config

    configuration = Configuration()
    try:
        with path.open("rb"):  # opened here because the client's own message does not name the file
            pass
    except OSError as error:
        raise NotConfigured(f"cannot read kubeconfig {path}: {error.strerror or error}") from None
    load: Callable[..., None] = load_kube_config  # the client has no type annotations
    try:
        # Refreshed tokens are not written back: the file belongs to the operator.
        load(str(path), client_configuration=configuration, persist_config=False)
    except Exception as error:  # noqa: BLE001  # the client fails in its own ways (KeyError, TypeError, …) on a malformed file
        reason = str(error) or type(error).__name__
        raise NotConfigured(f"kubeconfig {path} is not usable: {reason}") from None
    return _access(configuration, str(path))


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Access:
    """Credentials of the pod's service account. Its token is read again every minute, since kubelet rotates it. Raises NotConfigured."""
    configuration_module, loader_module = _light_import(
        "kubernetes.client.configuration", "kubernetes.config.incluster_config"
    )
    for name in ("token", "ca.crt"):
        if not (folder / name).is_file():
            raise NotConfigured(
                f"running in a pod ({HOST_VARIABLE} is set), but {folder / name} does not exist: "
                "set automountServiceAccountToken: true, or give --kubeconfig"
            )
    configuration: Configuration = configuration_module.Configuration()
    loader = loader_module.InClusterConfigLoader(str(folder / "token"), str(folder / "ca.crt"), environ=environ)
    try:
        loader.load_and_set(configuration)
    except Exception as error:  # noqa: BLE001  # ConfigException, OSError, and what else a later client raises
        raise NotConfigured(f"the pod's service account in {folder} is not usable: {error}") from None
    return _access(configuration, str(folder))


def _access(configuration: Configuration, source: str) -> Access:
    (rest,) = _light_import("kubernetes.client.rest")
    # Otherwise urllib3 itself sleeps for a Retry-After, and nobody can interrupt it.
    configuration.retries = False
    configuration.connection_pool_maxsize = 4
    configuration.keep_alive = True
    try:
        pool: PoolManager = rest.RESTClientObject(configuration).pool_manager
    except Exception as error:  # noqa: BLE001  # a proxy URL that is none, for instance
        raise NotConfigured(f"{source} is not usable: {error}") from None

    def authorization() -> dict[str, str]:
        try:
            settings: dict[str, Any] = dict(configuration.auth_settings())
        except Exception as error:  # noqa: BLE001  # the token file vanished, an exec plugin failed, …
            raise NotConfigured(f"cannot read the credentials of {source}: {error}") from None
        # A token file often ends in a newline, which a header must not contain; client-go strips it too.
        headers = {s["key"]: s["value"].strip() for s in settings.values() if s["in"] == "header" and s["value"]}
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            # Checked here, because the HTTP library would put the token into its error, and that into the log.
            raise NotConfigured(f"the token of {source} has characters that no token has: is it the right file?")
        return headers

    return Access(configuration.host.rstrip("/"), pool, authorization)


def _light_import(*names: str) -> list[Any]:
    """Import modules of the client without running their packages' __init__."""
    stand_ins = [name for name in ("kubernetes", "kubernetes.config") if name not in sys.modules]
    before = set(sys.modules)
    try:
        for name in stand_ins:
            spec = importlib.util.find_spec(name)
            if spec is None or spec.submodule_search_locations is None:
                raise ImportError(f"{name} is no package")
            module = types.ModuleType(name)
            module.__path__ = list(spec.submodule_search_locations)
            sys.modules[name] = module
        return [importlib.import_module(name) for name in names]
    except (ImportError, AttributeError):
        for name in [n for n in sys.modules if n.startswith("kubernetes") and n not in before]:
            del sys.modules[name]
        stand_ins = []
        return [importlib.import_module(name) for name in names]
    finally:
        for name in stand_ins:  # later imports get the real package
            sys.modules.pop(name, None)
