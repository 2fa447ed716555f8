"""Every setting of a node, in one table: what `node.config` reads, and what docs/operations.md shows.

A setting is named `section.key`, stands in the TOML file as `key` under `[section]`, and can be given as the
environment variable `DKG_NODE_SECTION_KEY`, which wins. Lists are separated by commas there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import address_from_text
from dkg.chain.ual import CHAIN_ID_MAX
from dkg.errors import InputError
from dkg.limits import FINALITY_DEPTH, FINALITY_DEPTH_MAX
from node.core.settings import CoreSettings
from node.http.settings import HttpSettings
from node.peers.slots import SlotLimits
from node.replication.replicator import Settings as Replicating
from node.workers.settings import WORKERS_MAX
from node.workers.settings import Settings as Working

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX: Final = "DKG_NODE_"

MIB: Final = 1024 * 1024
DAY_S: Final = 86_400

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values. `of_toml`, `of_text`: the value of what stands in the file, or in the environment."""

    name: str
    of_toml: Callable[[Any], Any]
    of_text: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `unit`: empty where there is none. `least`, `most`: of a number, both included."""

    name: str
    kind: Kind
    default: Any
    meaning: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    """Whether its value is never shown: URLs of endpoints hold keys."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.replace(".", "_").upper()

    def check(self, value: Any) -> Any:  # noqa: ANN401 - of its kind
        """The value, if it is one that this may have. Raises `ValueError` that says what it may be."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.least, self.most
            if not (low is None or value >= low) or not (high is None or value <= high) or value != value:  # noqa: PLR0124
                raise ValueError(_range(self.kind.name, low, high))
        if self.choices and value not in self.choices:
            raise ValueError(f"it is one of {', '.join(self.choices)}")
        return value


def _range(kind: str, low: float | None, high: float | None) -> str:
    if high is None:
        return f"it is {kind} from {low:.15g} on"
    if low is None:
        return f"it is {kind} up to {high:.15g}"
    return f"it is {kind} from {low:.15g} to {high:.15g}"


# --- types of values ---------------------------------------------------------------------------------------------


def _exactly(wanted: type, name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
        if type(value) is not wanted:
            raise ValueError(f"it is {name}")
        return value

    return check


def _number(value: Any) -> float:  # noqa: ANN401
    if type(value) not in {int, float}:
        raise ValueError("it is a number")
    return float(value)


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if type(value) is not list or not all(type(item) is str and item for item in value):
        raise ValueError("it is a list of texts")
    return tuple(value)


def _truth(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise ValueError("it is true or false") from None


def _matched(pattern: re.Pattern[str], made: Callable[[str], Any], name: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:  # noqa: ANN401
        if not pattern.fullmatch(text):
            raise ValueError(f"it is {name}")
        return made(text)

    return parse


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for piece in text.split(",") if (part := piece.strip()))


def _addresses(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    try:
        return tuple(address_from_text(text) for text in texts)
    except InputError as error:
        raise ValueError(str(error)) from error


INTEGER: Final = Kind("a whole number", _exactly(int, "a whole number"), _matched(_INTEGER, int, "a whole number"))
NUMBER: Final = Kind("a number", _number, _matched(_NUMBER, float, "a number"))
TRUTH: Final = Kind("true or false", _exactly(bool, "true or false"), _truth)
TEXT: Final = Kind("a text", _exactly(str, "a text"), str)
TEXTS: Final = Kind("a list of texts", _texts, _listed)
ADDRESSES: Final = Kind(
    "a list of addresses", lambda value: _addresses(_texts(value)), lambda text: _addresses(_listed(text))
)

_CORE: Final = CoreSettings()
_HTTP: Final = HttpSettings()
_WORK: Final = Working()
_SLOTS: Final = SlotLimits()
_REPLICATE: Final = Replicating()

NODE: Final = (
    Setting("node.directory", TEXT, "~/.dkg/node", "Where this node keeps everything. `~` is your home"),
    Setting("node.log_file", TEXT, "", "Where the log goes, one JSON object a line; empty: standard error"),
    Setting("node.log_level", TEXT, "info", "What is logged", choices=("debug", "info", "warning", "error")),
    Setting("node.log_bytes", INTEGER, 16 * MIB, "Length at which the log file is put aside", "bytes", 64 * 1024),
    Setting("node.log_files", INTEGER, 4, "Log files that were put aside and stay", "", 0, 1_000),
)

CHAIN: Final = (
    Setting("chain.home", TEXT, "", "A home (`dkg chain use`) that says which chain; empty: this file does"),
    Setting("chain.id", INTEGER, 0, "Id of the chain; 0: as the home says", "", 0, CHAIN_ID_MAX),
    Setting("chain.registry", TEXT, "", "Address of the registry; empty: as the home says"),
    Setting("chain.checkpoints", TEXT, "", "Address of its checkpoint contract; empty: as the home says, or none"),
    Setting("chain.endpoints", TEXTS, (), "URLs of JSON-RPC endpoints; none: those of the home", secret=True),
    Setting("chain.need", INTEGER, 0, "Endpoints that must agree; 0: as the home says, or more than half", "", 0, 16),
    Setting("chain.first_block", INTEGER, 0, "Block of the registry's deployment, or one before", "", 0, 2**63),
    Setting(
        "chain.finality_depth",
        INTEGER,
        FINALITY_DEPTH,
        "Blocks that bury what is final",
        "blocks",
        0,
        FINALITY_DEPTH_MAX,
    ),
    Setting("chain.poll_s", NUMBER, _CORE.poll_s, "Time between two looks at the chain", "seconds", 0.1, 3_600),
    Setting(
        "chain.poll_max_s",
        NUMBER,
        _CORE.poll_max_s,
        "The longest such time, while endpoints fail",
        "seconds",
        1,
        86_400,
    ),
)

FOLLOW: Final = (
    Setting("follow.all", TRUTH, True, "Whether to bring over the datasets of all publishers of the registry"),  # noqa: FBT003
    Setting("follow.publishers", ADDRESSES, (), "If not all: of which publishers"),
    Setting(
        "follow.publishers_max", INTEGER, _CORE.publishers_max, "If all: of how many, the first ones", "", 1, 10**6
    ),
    Setting("follow.quads_max", INTEGER, _REPLICATE.quads_max, "Largest dataset that is brought over", "quads", 1),
    Setting(
        "follow.patience_s",
        NUMBER,
        _CORE.patience_s,
        "How long the union waits for a dataset that nobody has, before it is made without that publisher",
        "seconds",
        1,
    ),
    Setting("follow.at_once", INTEGER, _REPLICATE.at_once, "Datasets that are brought over at a time", "", 1, 64),
)

STORAGE: Final = (
    Setting("storage.quota_bytes", INTEGER, 0, "Most that the directory may take of the disk; 0: no limit", "bytes", 0),
    Setting("storage.keep_count", INTEGER, 10, "Newest roots of each publisher, and of the union, that stay", "", 1),
    Setting("storage.keep_days", INTEGER, 7, "Younger roots stay too", "days", 0, 36_500),
    Setting("storage.keep_most", INTEGER, 1_000, "But no more than so many", "", 1, 10**6),
    Setting("storage.collect_s", NUMBER, _CORE.collect_s, "Time between two collections of garbage", "seconds", 10),
    Setting(
        "storage.views", INTEGER, _CORE.views, "Oxigraph views that are kept for plain queries; 0: none", "", 0, 64
    ),
    Setting(
        "storage.view_quads_min", INTEGER, _CORE.view_quads_min, "Quads from which on a dataset gets a view", "quads", 0
    ),
    Setting("storage.operation_days", INTEGER, _CORE.operation_days, "Operations are remembered so long", "days", 1),
)

HTTP: Final = (
    Setting("http.enabled", TRUTH, True, "Whether to answer over HTTP"),  # noqa: FBT003
    Setting("http.host", TEXT, _HTTP.host, "Address to listen at; the default is this machine alone"),
    Setting("http.port", INTEGER, _HTTP.port, "Port to listen at; 0: any that is free", "", 0, 65_535),
    Setting("http.public_url", TEXT, "", "How others reach this node; empty: as each request says"),
    Setting(
        "http.hosts", TEXTS, (), "Names that a Host header may have; none: of loopback if it listens there, else any"
    ),
    Setting("http.origins", TEXTS, (), "Origins of web pages that a browser may ask for, or `*`"),
    Setting("http.trusted_proxies", TEXTS, (), "Networks of proxies whose X-Forwarded-For is believed"),
    Setting(
        "http.tokens_file", TEXT, "", "File of bearer tokens (`dkg token new`); empty: `tokens.json` in the directory"
    ),
    Setting("http.open_metrics", TRUTH, _HTTP.open_metrics, "Whether /metrics needs no token"),
    Setting("http.url_bytes", INTEGER, _HTTP.url_bytes, "Longest path and query of a URL", "bytes", 256),
    Setting(
        "http.header_bytes", INTEGER, _HTTP.header_bytes, "Longest header fields of a request in all", "bytes", 1024
    ),
    Setting("http.header_fields", INTEGER, _HTTP.header_fields, "Most header fields of a request", "", 10),
    Setting("http.query_bytes", INTEGER, _HTTP.query_bytes, "Longest body of a query", "bytes", 1024),
    Setting("http.document_bytes", INTEGER, _HTTP.document_bytes, "Longest RDF document to publish", "bytes", 1024),
    Setting("http.pages_bytes", INTEGER, _HTTP.pages_bytes, "Longest CAR of the pages of a commit", "bytes", 1024),
    Setting(
        "http.uploads_bytes", INTEGER, _HTTP.uploads_bytes, "Bodies that are held at a time, in all", "bytes", 1024
    ),
    Setting("http.answers_bytes", INTEGER, _HTTP.answers_bytes, "Long answers on their way, in all", "bytes", 1024),
    Setting(
        "http.remembered_bytes",
        INTEGER,
        _HTTP.remembered_bytes,
        "Answers that are remembered, to be given again; 0: none",
        "bytes",
        0,
    ),
    Setting("http.diff_quads", INTEGER, _HTTP.diff_quads, "Longest difference that is shown", "triples", 1),
    Setting("http.read_pages", INTEGER, _HTTP.read_pages, "Most pages that a list or a history reads", "", 100),
    Setting("http.car_keys", INTEGER, _HTTP.car_keys, "Most keys below a page of which a CAR is sent", "", 1),
    Setting("http.requests_per_s", NUMBER, _HTTP.requests_per_s, "Requests of one client", "per second", 0.1),
    Setting("http.requests_burst", INTEGER, _HTTP.requests_burst, "Requests of one client at once", "", 1),
    Setting(
        "http.client_requests_at_once",
        INTEGER,
        _HTTP.client_requests_at_once,
        "Requests of one client that are answered at a time",
        "",
        1,
    ),
    Setting("http.requests_at_once", INTEGER, _HTTP.requests_at_once, "Requests that are answered at a time", "", 1),
    Setting("http.clients", INTEGER, _HTTP.clients, "Clients that are remembered", "", 1),
    Setting("http.connections", INTEGER, _HTTP.connections, "Connections at a time", "", 1),
    Setting("http.client_connections", INTEGER, _HTTP.client_connections, "Connections from one address", "", 1),
    Setting("http.header_seconds", NUMBER, _HTTP.header_seconds, "Time for a request's header", "seconds", 0.1),
    Setting(
        "http.body_seconds", NUMBER, _HTTP.body_seconds, "Time for a body, and more the longer it is", "seconds", 0.1
    ),
    Setting("http.body_bytes_per_s", INTEGER, _HTTP.body_bytes_per_s, "Slowest pace of a long body", "bytes/s", 1),
    Setting("http.send_seconds", NUMBER, _HTTP.send_seconds, "Time to read 256 KiB of an answer", "seconds", 0.1),
    Setting("http.request_seconds", NUMBER, _HTTP.request_seconds, "Time until an answer begins", "seconds", 0.1),
    Setting("http.keep_alive_seconds", INTEGER, _HTTP.keep_alive_seconds, "Time for the next request", "seconds", 1),
    Setting("http.stop_seconds", INTEGER, _HTTP.stop_seconds, "Time for requests when the node stops", "seconds", 1),
    Setting(
        "http.ready_age_seconds",
        INTEGER,
        _HTTP.ready_age_seconds,
        "Age of the newest block up to which it is ready",
        "seconds",
        1,
    ),
)

WORKERS: Final = (
    Setting(
        "workers.workers", INTEGER, 0, "Worker processes; 0: one more than there are processors", "", 0, WORKERS_MAX
    ),
    Setting(
        "workers.isolation",
        TEXT,
        _WORK.isolation,
        "`full`: no worker without all of its sandbox",
        "",
        choices=("full", "limits"),
    ),
    Setting("workers.wall_seconds", NUMBER, _WORK.wall_seconds, "Longest time of a job", "seconds", 0.01),
    Setting("workers.cpu_seconds", NUMBER, _WORK.cpu_seconds, "Most processor time of a job", "seconds", 0.01),
    Setting("workers.memory_bytes", INTEGER, _WORK.memory_bytes, "Address space of a worker", "bytes", 256 * MIB),
    Setting("workers.input_bytes", INTEGER, _WORK.input_bytes, "Longest document or proof of a job", "bytes", 1),
    Setting("workers.result_bytes", INTEGER, _WORK.result_bytes, "Longest result of a job", "bytes", 1),
    Setting("workers.jobs_per_worker", INTEGER, _WORK.jobs_per_worker, "Jobs after which a worker is replaced", "", 1),
    Setting("workers.growth_bytes", INTEGER, _WORK.growth_bytes, "Growth after which it is replaced", "bytes", 1),
    Setting("workers.cache_pages", INTEGER, _WORK.cache_pages, "Decoded pages that a worker keeps", "", 1),
    Setting("workers.views", INTEGER, _WORK.views, "Views that a worker keeps open", "", 1),
    Setting("workers.waiting", INTEGER, _WORK.waiting, "Jobs that may wait", "", 1),
    Setting("workers.waiting_per_client", INTEGER, _WORK.waiting_per_client, "Jobs of one client that may wait", "", 1),
    Setting("workers.waiting_bytes", INTEGER, _WORK.waiting_bytes, "Bytes of the jobs that may wait", "bytes", 1),
    Setting("workers.wait_seconds", NUMBER, _WORK.wait_seconds, "How long a job may wait", "seconds", 0.01),
    Setting(
        "workers.running_per_client", INTEGER, 0, "Jobs of one client that run at once; 0: all workers but one", "", 0
    ),
    Setting(
        "workers.window_seconds", NUMBER, _WORK.window_seconds, "What a client uses is counted over", "seconds", 0.01
    ),
    Setting("workers.client_seconds", NUMBER, 0.0, "Workers' time of a client in it; 0: what it can use", "seconds", 0),
    Setting("workers.client_bytes", INTEGER, _WORK.client_bytes, "Bytes of a client in it", "bytes", 1),
)

PEERS: Final = (
    Setting("peers.enabled", TRUTH, True, "Whether to take part among peers"),  # noqa: FBT003
    Setting(
        "peers.listen", TEXT, "/ip4/127.0.0.1/tcp/0", "Multiaddress to listen at; the default is this machine alone"
    ),
    Setting("peers.announce", TEXTS, (), "Multiaddresses that others should use, if they are others"),
    Setting("peers.bootstrap", TEXTS, (), "Peers that are always connected to, with their identifiers"),
    Setting("peers.mdns", TRUTH, False, "Whether to look for peers in the local network; it listens everywhere"),  # noqa: FBT003
    Setting("peers.kademlia", TRUTH, True, "Whether to look for providers in the hash table"),  # noqa: FBT003
    Setting("peers.gossip", TRUTH, True, "Whether to tell and hear announcements"),  # noqa: FBT003
    Setting("peers.inbound_max", INTEGER, _SLOTS.inbound_max, "Connections that others make", "", 1),
    Setting("peers.group_max", INTEGER, _SLOTS.group_max, "Of these, from one network", "", 1),
    Setting(
        "peers.shaking_hands_max", INTEGER, _SLOTS.shaking_hands_max, "Connections that are not yet secured", "", 1
    ),
    Setting(
        "peers.group_per_s", NUMBER, _SLOTS.group_per_s, "Connections accepted from one network", "per second", 0.01
    ),
    Setting("peers.group_burst", NUMBER, _SLOTS.group_burst, "Of these, at once", "", 1),
    Setting("peers.dialled_max", INTEGER, _SLOTS.dialled_max, "Connections that this node makes", "", 1),
    Setting("peers.group_dialled_max", INTEGER, _SLOTS.group_dialled_max, "Of these, to one network", "", 1),
)

PUBLISH: Final = (
    Setting("publish.home", TEXT, "", "Home with the key that this node publishes and pays with; empty: none"),
    Setting("publish.password_file", TEXT, "", "File with the password of that key"),
    Setting("publish.own", TRUTH, True, "If there is a home: whether to publish for its publisher"),  # noqa: FBT003
    Setting("publish.relay", TRUTH, False, "If there is a home: whether to pay for commits that others signed"),  # noqa: FBT003
    Setting("publish.max_fee_gwei", NUMBER, 200.0, "Most to pay for one unit of gas", "gwei", 0),
    Setting(
        "publish.upload_days", INTEGER, _CORE.upload_days, "Uploads that are not anchored are given up after", "days", 1
    ),
    Setting("publish.uploads_max", INTEGER, _CORE.uploads_max, "Uploads that wait to be anchored", "", 1, 10_000),
    Setting("publish.upload_quads_max", INTEGER, _CORE.upload_quads_max, "Largest dataset of an upload", "quads", 1),
)

CHECKPOINTS: Final = (
    Setting(
        "checkpoints.watch",
        TRUTH,
        _CORE.watch,
        "Whether to judge checkpoints, and to refute wrong ones if there is a home",
    ),
    Setting(
        "checkpoints.propose_every",
        NUMBER,
        _CORE.propose_s,
        "If there is a home: least time between two checkpoints that are proposed; 0: none are",
        "seconds",
        0,
    ),
)

RETRIEVAL: Final = (
    Setting("retrieval.enabled", TRUTH, False, "Whether to answer questions in words; needs dkg[retrieval]"),  # noqa: FBT003
    Setting("retrieval.policy", TEXT, "", "File with a trust policy, read again when it changes; empty: none"),
    Setting("retrieval.model", TEXT, "", "For /v1/answer: `smollm2`, a GGUF file, or a URL with `#NAME`; empty: none"),
    Setting(
        "retrieval.embedder",
        TEXT,
        "auto",
        "Of texts; `auto`: the best that is installed",
        choices=("auto", "int8", "static", "torch", "none"),
    ),
)

SETTINGS: Final = (*NODE, *CHAIN, *FOLLOW, *STORAGE, *HTTP, *WORKERS, *PEERS, *PUBLISH, *CHECKPOINTS, *RETRIEVAL)
"""All of them, in the order in which they are shown."""


def table() -> str:
    """The table of docs/operations.md, in Markdown."""
    rows = ["| setting | type | default | unit | meaning |", "|---|---|---|---|---|"]
    for one in SETTINGS:
        kind = " or ".join(one.choices) if one.choices else one.kind.name
        rows.append(f"| `{one.name}` | {kind} | {_shown(one.default)} | {one.unit} | {one.meaning} |")
    return "\n".join(rows) + "\n"


def _shown(value: object) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case "" | ():
            return ""
        case float():
            return f"`{value:.15g}`"
        case _:
            return f"`{value}`"
