"""The daemon's ports: metrics, health, and the page for browsers."""

from __future__ import annotations

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.wiring import Parts
from koordnri.observe.certificate import Certificate
from koordnri.observe.endpoints import health_pages, metrics_pages
from koordnri.observe.http import Pages, Server
from koordnri.observe.tokens import TokenError, guarded, read_token
from koordnri.page.server import PageServer


class Listeners:
    """Opened once the policy has been read, closed at the end. A port is None while nobody listens there."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self._metrics: Server | None = None
        self._health: Server | None = None
        self._page: PageServer | None = None

    def open(self) -> None:
        """Raises ConfigError when an address cannot be listened on."""
        config, parts = self._config, self._parts
        health = health_pages(parts.readiness.problems, parts.readiness.warnings)
        if config.listen_health is not None:
            self._health = _serve("--listen-health", config.listen_health, health)
        if config.listen is not None:
            pages = {**self._metrics_pages(), **health}
            self._metrics = _serve("--listen", config.listen, pages, self._certificate())
        if config.page is not None:
            self._page = self._serve_page(*config.page)

    def close(self) -> None:
        """Stop serving and free the ports."""
        for server in (self._metrics, self._page, self._health):
            if server is not None:
                server.close()

    @property
    def port(self) -> int | None:
        """Of metrics and health."""
        return None if self._metrics is None else self._metrics.port

    @property
    def health_port(self) -> int | None:
        """Of health alone."""
        return None if self._health is None else self._health.port

    @property
    def page_port(self) -> int | None:
        """Of the page for browsers."""
        return None if self._page is None else self._page.port

    def _metrics_pages(self) -> Pages:
        pages = metrics_pages(self._parts.registry, self._parts.operator.policy_state)
        token_file = self._config.listen_token_file
        if token_file is None:
            return pages
        try:
            read_token(token_file)
        except (OSError, TokenError) as error:
            raise ConfigError(f"--listen-token-file: {error}") from error
        return guarded(pages, token_file)

    def _certificate(self) -> Certificate | None:
        certificate, key = self._config.listen_tls_cert, self._config.listen_tls_key
        if certificate is None and key is None:
            return None
        if certificate is None or key is None:
            raise ConfigError("expected --listen-tls-cert and --listen-tls-key, got one of them")
        try:
            return Certificate(certificate, key, self._not_renewed)
        except OSError as error:
            raise ConfigError(f"--listen-tls-cert {certificate}, --listen-tls-key {key}: {error}") from error

    def _not_renewed(self, reason: str) -> None:
        self._parts.log.error("certificate_not_renewed", error=reason)

    def _serve_page(self, host: str, port: int) -> PageServer:
        parts = self._parts
        try:
            names = frozenset({parts.present.node.name})
            return PageServer(host, port, parts.questions, parts.mark, names)
        except OSError as error:
            raise ConfigError(f"--page {host}:{port}: {error}") from error


def _serve(option: str, address: tuple[str, int], pages: Pages, certificate: Certificate | None = None) -> Server:
    host, port = address
    try:
        return Server(host, port, pages, certificate)
    except OSError as error:
        raise ConfigError(f"{option} {host}:{port}: {error}") from error
