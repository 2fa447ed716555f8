"""Whose data, and of when: the parameters that all reads share, and the header fields that say what an answer is of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import address_from_text
from dkg.checkpoints.answer import TooManyError
from dkg.client.anchored import CLOCK_BEHIND_MAX_S
from dkg.errors import InputError
from dkg.page import cid_bytes, cid_text
from node.http.problems import Code, Problem
from node.http.whole import encoded
from node.serving import NOW, At, Claim, NoCheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.serving import Checkpointed, Datasets, Service, Standing

PUBLISHERS_MAX: Final = 100
"""Most publishers that a request names."""

PUBLISHERS_SHOWN: Final = 16
"""Most publishers that a header field names; `/v1/dataset` names more."""

NUMBER_MAX: Final = 2**63 - 1

STATE_FIELDS: Final = (
    "DKG-Root",
    "DKG-Claim",
    "DKG-State",
    "DKG-Block",
    "DKG-Block-Hash",
    "DKG-Block-Time",
    "DKG-Age",
    "DKG-Position",
    "DKG-Seq",
    "DKG-Behind",
    "DKG-Publisher-Count",
    "DKG-Publishers",
    "DKG-Checkpoint",
    "DKG-Checkpoint-Position",
    "DKG-Checkpoint-State",
    "DKG-Beside-Count",
    "DKG-Beside",
)
"""The header fields that say what an answer is of."""

_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """Whose data, and of when; and what an answer must be good for, or there is none."""

    publishers: tuple[bytes, ...] | None = None
    """In ascending order; None: all that are followed."""
    at: At = NOW
    min_claim: Claim | None = None
    max_age_s: int | None = None
    beside: Datasets = ()
    """Which datasets are asked beside the checkpoint whose root `at` names: see `Checkpointed`."""
    origins: bool = False
    """Whether the proof shall show quads, and not only counts: see `dkg.checkpoints.answer.verify_joint`."""

    @classmethod
    def of(
        cls,
        publishers: Sequence[str] = (),
        at: str | None = None,
        min_claim: str | None = None,
        max_age: str | None = None,
        beside: Sequence[str] = (),
        origins: str | None = None,
    ) -> Moment:
        """From the parameters `publisher`, `at`, `min_claim`, `max_age`, `beside` and `origins`. Raises `Problem`."""
        if not (publishers or beside or origins) and at is None and min_claim is None and max_age is None:
            return _NOW
        made = cls(
            parse_publishers(publishers),
            NOW if at is None else parse_at(at),
            None if min_claim is None else _claim(min_claim),
            None if max_age is None else _number("max_age", max_age),
            parse_beside(beside),
            origins == "true",
        )
        if origins not in {None, "true", "false"} or (made.origins and not made.by_checkpoint):
            raise wrong("origins", "it is true or false, and goes with min_claim=L2")
        if beside and not (made.by_checkpoint and made.at.root is not None):
            raise wrong("beside", "it goes with min_claim=L2 and the root of a checkpoint, at=root:bafyrei...")
        return made

    @property
    def by_checkpoint(self) -> bool:
        """Whether all publishers are asked, by a checkpoint."""
        return self.min_claim is Claim.UNION and self.publishers is None

    @property
    def pinned(self) -> bool:
        """Whether the answer is the same for ever."""
        return self.at.root is not None and self.min_claim is None and self.max_age_s is None


_NOW: Final = Moment()


def wrong(name: str, what: str) -> Problem:
    """The problem with a parameter."""
    return Problem(Code.PARAMETER_INVALID, f"{name}: {what}")


def parse_publishers(texts: Sequence[str]) -> tuple[bytes, ...] | None:
    """Addresses of publishers, in ascending order; None if there are none. Raises `Problem`."""
    if len(texts) > PUBLISHERS_MAX:
        raise wrong("publisher", f"{len(texts)} are named; {PUBLISHERS_MAX} are the most")
    return tuple(sorted({parse_address("publisher", text) for text in texts})) or None


def parse_beside(texts: Sequence[str]) -> Datasets:
    """Publishers with the roots of their datasets, in ascending order. Raises `Problem`."""
    if len(texts) > PUBLISHERS_MAX:
        raise wrong("beside", f"{len(texts)} datasets are named; {PUBLISHERS_MAX} are the most")
    found: dict[bytes, bytes | None] = {}
    for text in texts:
        who, separator, root = text.partition(":")
        address = parse_address("beside", who)
        if not separator or address in found:
            raise wrong("beside", "it is 0x...:bafyrei..., or 0x...: if nothing of it counts, once for each publisher")
        found[address] = parse_cid("beside", root) if root else None
    return tuple(sorted(found.items()))


def parse_address(name: str, text: str) -> bytes:
    """An address. Raises `Problem`."""
    try:
        return address_from_text(text)
    except InputError as error:
        raise wrong(name, str(error)) from error


def parse_at(text: str) -> At:
    """A moment: `block:N`, `seq:N`, `time:2027-01-15T08:00:00Z` or `root:bafyrei...`. Raises `Problem`."""
    kind, _, value = text.partition(":")
    match kind:
        case "block":
            return At(block=_number("at", value))
        case "seq":
            return At(seq=_number("at", value))
        case "time":
            return At(time=_time(value))
        case "root":
            return At(root=parse_cid("at", value))
    raise wrong("at", "it is block:N, seq:N, time:2027-01-15T08:00:00Z or root:bafyrei...")


def parse_cid(name: str, text: str) -> bytes:
    """The CID of a page. Raises `Problem`."""
    try:
        return cid_bytes(text)
    except ValueError as error:
        raise wrong(name, "this is not the CID of a page, such as bafyrei...") from error


def _number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > NUMBER_MAX:
        raise wrong(name, f"{text[:32]!r} is no number from 0 to 2^63 - 1")
    return int(text)


def _time(text: str) -> int:
    if _TIME.fullmatch(text):
        try:
            return int(datetime.fromisoformat(text.upper()).timestamp())
        except (ValueError, OverflowError):
            pass
    raise wrong("at", f"{text[:40]!r} is no time with a time zone, such as 2027-01-15T08:00:00Z (RFC 3339)")


def _claim(text: str) -> Claim:
    try:
        return Claim(text)
    except ValueError:
        raise wrong("min_claim", f"it is one of {', '.join(Claim)}") from None


def time_text(seconds: int) -> str:
    """Unix seconds as people and RFC 3339 write them."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a block may say anything
        return "9999-12-31T23:59:59Z"


def age_s(standing: Standing, now: float) -> int:
    """How old the block is that an answer is as of, in seconds."""
    return max(0, int(now) - standing.block_time)


def standing_for(service: Service, moment: Moment, clock: Callable[[], float]) -> Standing:
    """The root to answer from, if it is good enough. Raises `Problem` and what `Service.standing` raises."""
    if moment.by_checkpoint:
        try:
            standing = service.checkpointed(moment.at, moment.beside)
        except NoCheckpointError as error:
            raise Problem(Code.CLAIM_NOT_MET, f"{error}: ask another node, or without min_claim") from error
        except TooManyError as error:
            raise Problem(Code.CLAIM_NOT_MET, str(error)) from error
    else:
        standing = service.standing(moment.publishers, moment.at)
    if moment.min_claim is not None and standing.claim < moment.min_claim:
        raise Problem(
            Code.CLAIM_NOT_MET,
            f"the answer would claim {standing.claim}, and min_claim is {moment.min_claim}: ask for all publishers",
        )
    if moment.max_age_s is not None:
        _check_age(standing, moment.max_age_s, clock())
    return standing


def _check_age(standing: Standing, most_s: int, now: float) -> None:
    if standing.block_time > now + CLOCK_BEHIND_MAX_S:
        raise Problem(Code.TOO_OLD, "the newest block is from the future: one cannot tell how old the answer would be")
    age = age_s(standing, now)
    if age > most_s:
        raise Problem(
            Code.TOO_OLD,
            f"the answer would be as of block {standing.block}, {age} s ago, and max_age is {most_s}: ask another node",
        )


def state_headers(standing: Standing, now: float) -> dict[str, str]:
    """The header fields that say what an answer is of."""
    return {**_fixed(standing), "DKG-Age": str(age_s(standing, now))}


def state_fields(standing: Standing, now: float) -> list[tuple[bytes, bytes]]:
    """The same, ready to be sent."""
    return [*_fixed_fields(standing), (b"dkg-age", b"%d" % age_s(standing, now))]


@lru_cache(maxsize=64)
def _fixed_fields(standing: Standing) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(encoded(_fixed(standing)))


@lru_cache(maxsize=64)
def _fixed(standing: Standing) -> dict[str, str]:
    """Those that do not change while time goes by."""
    found = {
        "DKG-Root": cid_text(standing.root),
        "DKG-Claim": standing.claim.value,
        "DKG-State": standing.state.value,
        "DKG-Block": str(standing.block),
        "DKG-Block-Hash": f"0x{standing.block_hash.hex()}",
        "DKG-Block-Time": time_text(standing.block_time),
        "DKG-Position": str(standing.position),
        "DKG-Behind": str(standing.behind),
        "DKG-Publisher-Count": str(len(standing.publishers)),
    }
    if standing.seq is not None:
        found["DKG-Seq"] = str(standing.seq)
    if len(standing.publishers) <= PUBLISHERS_SHOWN:
        found["DKG-Publishers"] = ", ".join(f"0x{address.hex()}" for address in standing.publishers)
    if standing.checkpoint is not None:
        found |= _of_checkpoint(standing.checkpoint)
    return found


def _of_checkpoint(checkpoint: Checkpointed) -> dict[str, str]:
    beside = [f"0x{address.hex()}:{'' if root is None else cid_text(root)}" for address, root in checkpoint.beside]
    found = {
        "DKG-Checkpoint": str(checkpoint.id),
        "DKG-Checkpoint-Position": str(checkpoint.position),
        "DKG-Checkpoint-State": checkpoint.state.value,
        "DKG-Beside-Count": str(len(beside)),
    }
    if 0 < len(beside) <= PUBLISHERS_SHOWN:
        found["DKG-Beside"] = ", ".join(beside)
    return found
