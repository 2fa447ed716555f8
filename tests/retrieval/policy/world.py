"""Publishers and what they say, for tests of policies."""

from __future__ import annotations

import dkg
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.model import LOCAL, Claim, Dropped, Fact, Snapshot
from retrieval.policy import Policy
from retrieval.reading import Reader

NOW = 1_800_000_000
ANN, BOB, CAT, EVE, MAL = (f"did:pkh:eip155:1:0x{digit * 40}" for digit in "12345")
"""Their addresses are of digits only, so they are their own checksums."""

PREFIXES = "@prefix : <http://e/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . "


def says(
    publisher: str, turtle: str, *, committed: int | None = NOW, time: int | None = NOW, graph: str = "urn:g"
) -> Snapshot:
    """A publisher's dataset."""
    store = MemoryPageStore()
    text = turtle if turtle.rstrip().endswith((".", "}")) or not turtle.strip() else turtle + " ."
    root = dkg.build(dkg.load((PREFIXES + text).encode(), format="trig", graph=graph), store)
    claim = Claim.LOCAL if publisher == LOCAL else Claim.COMPLETE_FOR_PUBLISHER
    return Snapshot(publisher, root, StoredPages(store), claim, time=time, committed=committed)


def iri(name: str) -> bytes:
    """A term of the tests."""
    return f"<http://e/{name}>".encode()


def screened(
    policy: str, *snapshots: Snapshot, about: str = "x", now: int = NOW
) -> tuple[list[Fact], list[Dropped], Reader]:
    """All facts about a subject, screened."""
    reader = Reader(snapshots)
    kept, dropped = Policy.from_yaml(policy).screen(reader.about(iri(about), most=100), reader, now)
    return kept, dropped, reader


def objects(facts: list[Fact]) -> list[bytes]:
    """Their objects, sorted."""
    return sorted(fact.statement.object for fact in facts)


def reasons(dropped: list[Dropped]) -> list[str]:
    """Why, sorted."""
    return sorted(one.reason.value for one in dropped)
