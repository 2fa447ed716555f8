"""What the HTTP side may use and whom it believes: named settings with their units."""

from __future__ import annotations

from dataclasses import dataclass, fields
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError
from node.http.tokens import check_tokens

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from node.http.tokens import Token

KIB: Final = 1024
MIB: Final = 1024 * KIB

PORT: Final = 8900
PORT_MAX: Final = 65_535

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names that a request may have in its Host header where only this machine can ask."""

ANY: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Settings of the HTTP side. Raises `InputError` for values that make no sense."""

    host: str = "127.0.0.1"
    """The address to listen at; by default nobody but this machine can ask."""
    port: int = PORT
    """0: any that is free."""
    public_url: str | None = None
    """How others reach this node, such as `https://kg.example.org`; None: as each request says."""
    hosts: tuple[str, ...] | None = None
    """Names that the Host header may have, besides that of `public_url`, so that no page of the web can have a
    browser ask under a name of its own (DNS rebinding). None: those of loopback if it listens there, else any."""
    origins: tuple[str, ...] = ()
    """Origins of the pages that a browser may ask for, such as `https://app.example.org`, or `*`; by default none."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies, such as `10.0.0.0/8`, whose `X-Forwarded-For` tells who asks."""
    tokens: tuple[Token, ...] = ()
    """Who may write; by default nobody."""
    open_metrics: bool = False
    """Whether `/metrics` needs no token."""

    url_bytes: int = 64 * KIB
    """Longest path and query of a URL, in bytes."""
    header_bytes: int = 32 * KIB
    """Longest header fields of a request in all, in bytes."""
    header_fields: int = 100
    """Most header fields of a request."""
    query_bytes: int = 256 * KIB
    """Longest body of a query, in bytes as it is sent; a form encodes a byte in up to three."""
    document_bytes: int = 64 * MIB
    """Longest RDF document to publish, in bytes."""
    pages_bytes: int = 256 * MIB
    """Longest CAR of the pages of a commit, in bytes."""
    uploads_bytes: int = 512 * MIB
    """Bytes of all bodies that are held at a time; of one client half as many."""
    answers_bytes: int = 512 * MIB
    """Bytes of all long answers that are on their way at a time; of one client half as many."""
    remembered_bytes: int = 32 * MIB
    """Bytes of answers that are remembered, to be given again to whoever asks the same of the same root; 0: none."""
    diff_quads: int = 20_000
    """Most triples of a difference between two versions of an asset that is shown."""
    read_pages: int = 50_000
    """Most pages that one request for a list, a history or a difference reads."""
    car_keys: int = 8_000_000
    """Most keys below a page of which the gateway sends a CAR; a dataset has four for each quad."""

    requests_per_s: float = 200.0
    """Requests of one client, per second over some time."""
    requests_burst: int = 1_000
    """Requests of one client at once, after it has asked for nothing."""
    client_requests_at_once: int = 64
    """Requests of one client that are answered at a time."""
    requests_at_once: int = 512
    """Requests that are answered at a time."""
    clients: int = 65_536
    """Clients that are remembered."""
    connections: int = 1_024
    """Connections at a time."""
    client_connections: int = 128
    """Connections from one address at a time, unless it is a trusted proxy's."""

    header_seconds: float = 10.0
    """How long a request's header may take to arrive, in seconds."""
    body_seconds: float = 20.0
    """How long a body may take to arrive, in seconds; longer, by `body_bytes_per_s`, the more of it has arrived."""
    body_bytes_per_s: int = 16 * KIB
    """The slowest pace of a long body, in bytes a second."""
    send_seconds: float = 30.0
    """How long a client may take to read the next 256 KiB of an answer, in seconds."""
    request_seconds: float = 60.0
    """How long a request may take until its answer begins, in seconds."""
    keep_alive_seconds: int = 15
    """How long a connection stays open for another request, in seconds."""
    stop_seconds: int = 10
    """How long requests may still take when the node stops, in seconds."""
    ready_age_seconds: int = 3_600
    """How old the newest block may be for this node to call itself ready, in seconds."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                field.name not in {"port", "remembered_bytes"}
                and isinstance(value, int | float)
                and not isinstance(value, bool)
                and value <= 0
            ):
                raise InputError(f"{field.name} is {value}; it is a number above 0")
        if not 0 <= self.port <= PORT_MAX:
            raise InputError(f"port is {self.port}; it is between 0 and 65535")
        if self.remembered_bytes < 0:
            raise InputError(f"remembered_bytes is {self.remembered_bytes}; it is 0 or more")
        for origin in self.origins:
            _check_origin(origin)
        if self.public_url is not None:
            _check_origin(self.public_url)
        self.proxy_networks()
        check_tokens(self.tokens)

    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`trusted_proxies`, parsed."""
        try:
            return tuple(ip_network(text) for text in self.trusted_proxies)
        except ValueError as error:
            raise InputError(f"trusted_proxies has something that is no network: {error}") from error

    def host_names(self) -> frozenset[str] | None:
        """The names that a Host header may have, in lower case and without port; None for any."""
        if self.hosts is None and not is_loopback(self.host):
            return None
        own = [host_name(self.public_url.partition("//")[2])] if self.public_url else []
        named = (host_name(name) for name in self.hosts or ())
        return LOOPBACK_NAMES.union(own, named) if is_loopback(self.host) else frozenset([*own, *named])


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is one that other machines cannot reach."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_name(header: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _check_origin(text: str) -> None:
    scheme, _, rest = text.partition("://")
    if text != ANY and (scheme not in {"http", "https"} or not rest or "/" in rest or not text.isascii()):
        raise InputError(f"{text!r} is no origin: it should look like https://kg.example.org, with no path")
