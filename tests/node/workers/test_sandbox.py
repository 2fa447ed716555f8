"""What a worker cannot do, tried from inside by one that somebody has taken over (`tests/node/workers/hostile.py`)."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node.workers import seccomp
from node.workers.errors import SandboxError
from node.workers.jobs import EVERY_GRAPH, Parse, Plain, Query
from node.workers.sandbox import require_no_network
from node.workers.settings import Settings
from tests.node.workers.harness import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.node.workers.conftest import Data

HERE = Path(__file__).resolve().parent.parent.parent.parent
NOT_ALLOWED = os.strerror(errno.EPERM)
NO_ACCESS = os.strerror(errno.EACCES)


class Listener:
    """A port of this machine, and who connects to it. It answers nobody: those who come wait."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.port: int = server.getsockname()[1]

    def strangers(self) -> list[object]:
        """Who came before we come ourselves; a port serves in turn, so that nobody is overlooked."""
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            came: list[object] = []
            while True:
                connection, peer = self._server.accept()
                connection.close()
                if peer == own.getsockname():
                    return came
                came.append(peer)


@contextmanager
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Listener(server)


def test_the_listener_sees_who_comes() -> None:
    with listener() as port, socket.create_connection(("127.0.0.1", port.port)) as somebody:
        assert port.strangers() == [somebody.getsockname()]
        assert port.strangers() == []


def test_here_every_measure_is_taken(hostile: Pool) -> None:
    assert hostile.workers.state().missing == {}


# --- the network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", ["connect", "service", "load"])
def test_no_packet_leaves_even_if_the_scanner_let_it_through(hostile: Pool, attempt: str) -> None:
    with listener() as port:
        said = hostile.attempt(f"{attempt} {port.port}")
        assert "PermissionError" in said or said.startswith("refused: ")
        assert port.strangers() == []


ATTACKS = [
    "SELECT * WHERE {{ SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ SERVICE SILENT <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ \\u0053ERVICE <{url}> {{ ?s ?p ?o }} }}",
    "PREFIX e: <{url}> SELECT * WHERE {{ SERVICEe:x {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ BIND(<{url}> AS ?u) SERVICE ?u {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ FILTER EXISTS {{ SERVICE <{url}> {{ ?s ?p ?o }} }} }}",
    "LOAD <{url}>",
    "LOAD SILENT <{url}> INTO GRAPH <urn:g>",
    "INSERT {{ ?s ?p ?o }} WHERE {{ SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * FROM <{url}> WHERE {{ ?s ?p ?o }}",
    "SELECT * FROM NAMED <{url}> WHERE {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    "DESCRIBE <{url}> FROM <{url}>",
    "SELECT * WHERE {{ GRAPH <{url}> {{ ?s ?p ?o }} }}",
    "BASE <{url}> SELECT * WHERE {{ <x> ?p ?o }}",
]
DOCUMENTS = [
    ("jsonld", '{{"@context": "{url}", "@id": "urn:a", "urn:p": 1}}'),
    ("jsonld", '{{"@context": {{"@import": "{url}"}}, "@id": "urn:a", "urn:p": 1}}'),
    ("jsonld", '{{"@context": ["{url}", {{"@base": "{url}"}}], "@id": "urn:a", "urn:p": 1}}'),
    (
        "jsonld",
        '{{"@context": {{"p": {{"@id": "urn:p", "@context": "{url}"}}}}, "@id": "urn:a", "p": {{"@id": "urn:b"}}}}',
    ),
    ("jsonld", '{{"@context": {{"@propagate": false, "@import": "{url}"}}}}'),
    ("xml", '<!DOCTYPE r SYSTEM "{url}"><r/>'),
    ("xml", '<!DOCTYPE r [<!ENTITY x SYSTEM "{url}">]><r>&x;</r>'),
    ("xml", '<!DOCTYPE r [<!ENTITY % x SYSTEM "{url}"> %x;]><r/>'),
    ("xml", '<r xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{url}"/></r>'),
    ("xml", '<?xml-stylesheet href="{url}"?><r/>'),
    ("ttl", "@base <{url}> . <a> <b> <c> ."),
    ("ttl", "@prefix : <{url}#> . :a :b :c ."),
]
HOSTS = ["http://127.0.0.1:{port}/", "http://localhost:{port}/x", "http://[::ffff:127.0.0.1]:{port}/"]


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_that_names_an_address_connects_to_it(pool: Pool, data: Data, host: str) -> None:
    with listener() as port:
        url = host.format(port=port.port)
        jobs: list[Query | Plain | Parse] = []
        for attack in ATTACKS:
            text = attack.format(url=url)
            jobs += [
                Query(root=data.root, text=text, graph="nt"),
                Plain(root=data.root, text=text, view=str(data.view), allowed=EVERY_GRAPH, graph="nt"),
                Plain(root=data.root, text=text, view=str(data.view), allowed=frozenset({data.other}), graph="nt"),
            ]
        jobs += [
            Parse(data=document.format(url=url).encode(), format=syntax, graph="urn:g")
            for syntax, document in DOCUMENTS
        ]
        outcomes = pool.outcomes(jobs)
        assert len(outcomes) == 3 * len(ATTACKS) + len(DOCUMENTS)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert len(refused) >= 3 * 9 + 8  # those that could only be answered by asking
        assert port.strangers() == []


def test_no_file_is_read_through_an_address(pool: Pool, data: Data, tmp_path: Path) -> None:
    secret = tmp_path / "secret.ttl"
    secret.write_text("<urn:secret> <urn:p> <urn:canary> .", encoding="utf-8")
    url = secret.as_uri()
    for attack in ATTACKS:
        text = attack.format(url=url)
        for job in (
            Query(root=data.root, text=text, graph="nt"),
            Plain(root=data.root, text=text, view=str(data.view), allowed=EVERY_GRAPH, graph="nt"),
        ):
            outcome = pool.outcome(job)
            assert isinstance(outcome, Exception) or b"canary" not in outcome.body


# --- other processes -------------------------------------------------------------------------------------------


def test_a_worker_cannot_reach_other_processes(hostile: Pool) -> None:
    for pid in (os.getpid(), hostile.zygote.pid, 1):
        assert hostile.attempt(f"kill {pid}") == f"PermissionError: {NOT_ALLOWED}"
        assert hostile.attempt(f"limit {pid}") == f"PermissionError: {NOT_ALLOWED}"
        assert hostile.attempt(f"own-signal {pid}") == f"PermissionError: {NOT_ALLOWED}"


def test_a_worker_starts_no_process_but_threads(hostile: Pool) -> None:
    assert hostile.attempt("fork") == f"PermissionError: {NOT_ALLOWED}"
    assert hostile.attempt("exec") == f"PermissionError: {NOT_ALLOWED}"
    assert hostile.attempt("thread") == "1 loaded"


# --- files -----------------------------------------------------------------------------------------------------


def test_a_worker_reads_the_store_and_views_and_nothing_beside_them(hostile: Pool, data: Data, tmp_path: Path) -> None:
    assert hostile.attempt(f"read {data.directory / 'pages.db'}").endswith(" bytes")
    assert "CURRENT" in hostile.attempt(f"list {data.view}")
    secret = tmp_path / "key.json"
    secret.write_text("secret", encoding="utf-8")
    for path in (
        secret,
        HERE / "pyproject.toml",
        Path("/etc/passwd"),
        Path("/proc/self/environ"),
        Path(f"/proc/{os.getpid()}/environ"),
    ):
        assert hostile.attempt(f"read {path}") == f"PermissionError: {NO_ACCESS}"
    for path in (tmp_path, data.directory.parent, Path("/")):
        assert hostile.attempt(f"list {path}") == f"PermissionError: {NO_ACCESS}"


def test_a_worker_reads_nothing_that_the_node_keeps_beside_its_pages(hostile: Pool, data: Data) -> None:
    for name in ("private/private.db", "private/00.part", "tokens.json", "state.db", "peers/key", "inbox/x"):
        secret = data.directory / name
        secret.parent.mkdir(exist_ok=True)
        secret.write_text("secret", encoding="utf-8")
        assert hostile.attempt(f"read {secret}") == f"PermissionError: {NO_ACCESS}"
        assert hostile.attempt(f"list {secret.parent}") == f"PermissionError: {NO_ACCESS}"


def test_a_worker_writes_nothing(hostile: Pool, data: Data) -> None:
    before = (data.directory / "pages.db").read_bytes()
    for name in ("pages.db", "pages.db-wal", "pages.db-shm"):
        assert hostile.attempt(f"write {data.directory / name}") == f"PermissionError: {NOT_ALLOWED}"
    assert (data.directory / "pages.db").read_bytes() == before


def test_a_worker_holds_nobody_up_who_opens_or_locks_a_file(hostile: Pool, data: Data) -> None:
    for path in (data.view.parent / "lock", data.directory / "pages.db"):
        for attempt in ("lock", "lease"):
            assert hostile.attempt(f"{attempt} {path}") == f"PermissionError: {NOT_ALLOWED}"


# --- what it starts with ---------------------------------------------------------------------------------------


def test_a_worker_has_no_secrets_no_files_and_no_privileges(hostile: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DKG_SECRET", "canary")
    found = json.loads(hostile.attempt("secrets"))
    assert set(found["environment"]) <= {"LC_CTYPE", "MALLOC_ARENA_MAX", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    assert found["files"] == [0, 1, 2, 3]
    assert found["session"]
    assert found["memory"] == hostile.workers.settings.memory_bytes
    assert hostile.attempt("privileges") == "none"


def test_arguments_of_processes_say_nothing_of_the_node(hostile: Pool, data: Data) -> None:
    for process in [hostile.zygote, *hostile.processes()]:
        assert str(data.directory) not in " ".join(process.cmdline())


# --- systems that allow less -----------------------------------------------------------------------------------


def test_without_privileges_a_user_namespace_cuts_the_network(data: Data) -> None:
    script = f"""
from pathlib import Path
from node.workers.kernel import drop_capabilities
drop_capabilities()
from tests.node.workers.harness import HOSTILE, Pool
from node.workers.settings import Settings
with Pool(Path({str(data.directory)!r}), Settings(workers=1), module=HOSTILE) as pool:
    print(sorted(pool.workers.state().missing), pool.attempt("connect 9"), pool.attempt("secrets"))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[] PermissionError"), done.stdout + done.stderr
    assert f'"uid": {os.getuid()}' in done.stdout


def test_without_landlock_and_namespaces_the_filter_does_what_it_can(data: Data, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was", encoding="utf-8")
    with Pool(data.directory, Settings(workers=1), module="tests.node.workers.unlocked") as pool, listener() as port:
        assert set(pool.workers.state().missing) == {"landlock", "network"}
        assert b"true" in pool.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body
        plain = Plain(root=data.root, text="ASK { ?s ?p ?o }", view=str(data.view), allowed=EVERY_GRAPH)
        assert pool.run(plain).facts.pages is None
        for attempt in ("connect", "service", "load"):
            said = pool.attempt(f"{attempt} {port.port}")
            assert "PermissionError" in said or said.startswith("refused: ")
        assert port.strangers() == []
        for attempt in ("write", "empty", "remove", "move", "mode"):
            assert pool.attempt(f"{attempt} {victim}") == f"PermissionError: {NOT_ALLOWED}"
    assert victim.read_text(encoding="utf-8") == "as it was"
    assert list(tmp_path.iterdir()) == [victim]


BARE = "tests.node.workers.bare"


def test_where_nothing_cuts_the_network_workers_do_not_start(data: Data) -> None:
    pool = Pool(data.directory, Settings(workers=1), module=BARE)
    with pytest.raises(SandboxError, match=r"workers would reach the network: .* set isolation to 'limits'"), pool:
        pass


def test_where_nothing_cuts_the_network_workers_start_if_the_settings_say_so(data: Data) -> None:
    with Pool(data.directory, Settings(workers=1, isolation="limits"), module=BARE) as pool:
        assert b"true" in pool.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body
        assert set(pool.workers.state().missing) == {"network", "seccomp"}


@pytest.mark.parametrize("missing", [{}, {"network": "x"}, {"seccomp": "x"}, {"network": "x", "landlock": "x"}])
def test_one_of_the_measures_that_cut_the_network_is_enough(missing: dict[str, str]) -> None:
    assert require_no_network(missing) is None  # type: ignore[func-returns-value]  # it raises or it does not


# --- the filter of system calls --------------------------------------------------------------------------------

HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"#define (?:__NR_|__NR3264_)(\w+)\s+(\d+)"),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_of_system_calls_are_those_of_the_kernel(machine: str) -> None:
    path, pattern = HEADERS[machine]
    if not path.exists():
        pytest.skip(f"{path} is not there: install linux-libc-dev")
    numbers = {name: int(number) for name, number in re.findall(pattern, path.read_text(encoding="utf-8"))}
    at = list(HEADERS).index(machine)
    ours = {name: entry[at] for name, entry in seccomp._REFUSED.items()}
    ours |= {name: entry[at] for name, entry in seccomp._UNKNOWN.items()}
    for name in ("kill", "tgkill", "prlimit64", "fcntl", "ioctl", "clone", "open", "openat"):
        ours[name] = getattr(seccomp, f"_{name.upper()}")[at]
    newest = max(numbers.values())
    known = {name for name, number in ours.items() if number is None or number <= newest}  # to these headers
    assert {name: ours[name] for name in known} == {name: numbers.get(name) for name in known}
    assert len(known) > 80


@pytest.mark.parametrize("machine", HEADERS)
def test_jumps_of_the_filter_stay_inside_it_and_every_path_ends(machine: str) -> None:
    program = seccomp._program(machine, 1234)
    assert len(program) < 4096
    for at, (code, if_true, if_false, _) in enumerate(program):
        assert at + 1 + max(if_true, if_false) < len(program) or code == seccomp._RETURN
    assert program[-1][0] == seccomp._RETURN


def run_filter(machine: str, number: int, arguments: tuple[int, ...] = (), *, own: int = 1234) -> int:
    """What the kernel would make of a system call: the classic BPF, as far as the filter uses it."""
    words = {0: number, 4: seccomp._MACHINES[machine]}
    words |= {16 + 8 * at: value & 0xFFFFFFFF for at, value in enumerate((*arguments, 0, 0, 0))}
    program, at, loaded = seccomp._program(machine, own), 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        if code == seccomp._RETURN:
            return operand
        if code == seccomp._LOAD:
            loaded, skip = words[operand], 0
        else:
            tests = {
                seccomp._EQUAL: loaded == operand,
                seccomp._AT_LEAST: loaded >= operand,
                seccomp._ANY_BIT: bool(loaded & operand),
            }
            skip = if_true if tests[code] else if_false
        at += 1 + skip


@pytest.mark.parametrize("machine", HEADERS)
def test_what_the_filter_says_to_each_call(machine: str) -> None:
    at = list(HEADERS).index(machine)
    refused, allowed = seccomp._ERRNO | errno.EPERM, seccomp._ALLOW
    for entry in seccomp._REFUSED.values():
        if (number := entry[at]) is not None:
            assert run_filter(machine, number) == refused
    read = {"x86_64": 0, "aarch64": 63}[machine]
    assert run_filter(machine, read) == allowed
    for entry in seccomp._UNKNOWN.values():
        assert run_filter(machine, entry[at]) == seccomp._ERRNO | errno.ENOSYS
    assert run_filter(machine, seccomp._CLONE[at], (signal.SIGCHLD,)) == refused
    assert run_filter(machine, seccomp._CLONE[at], (0x10000 | 0x100,)) == allowed
    flags = (os.O_RDONLY, os.O_CLOEXEC, os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_RDWR | os.O_CREAT)
    for call, argument, tried, taken in (
        (seccomp._OPENAT, 2, flags, set(flags[:2])),
        (seccomp._KILL, 0, (1234, 1, -1, 0), {1234}),
        (seccomp._TGKILL, 0, (1234, 1, -1, 0), {1234}),
        (seccomp._PRLIMIT64, 0, (0, 1234, 1), {0, 1234}),
        (seccomp._FCNTL, 1, (1, 8, 10, 15, 1024, 1026), {1}),
        (seccomp._IOCTL, 1, (0x5401, 0x8901, 0x8902), {0x5401}),
    ):
        for value in tried:
            said = run_filter(machine, call[at], (0,) * argument + (value,))
            assert said == (allowed if value in taken else refused), (call, value)
    if machine == "x86_64":
        assert run_filter(machine, 0x40000000) == refused
