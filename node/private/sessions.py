"""Challenges that were given, and sessions that are open. All of it is in memory: a restart ends every session.

A challenge is not remembered: its nonce carries a code over all that it says, under a key of this process, so that a
flood of requests for challenges takes no room. A nonce that was used is remembered until it has expired. Sessions are
for addresses that may read something here, so that nobody else can take the room that there is.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import SIGNATURE_BYTES, SignatureError, checksum
from node.private.signin import SignIn, SignInError, signed_by

if TYPE_CHECKING:
    from collections.abc import Callable

CHALLENGE_S: Final = 300
"""How long a challenge may be answered, in seconds."""

SESSION_S: Final = 3_600
"""How long a session lasts, in seconds."""

SESSIONS_MAX: Final = 10_000
"""Most sessions at a time."""

ADDRESS_SESSIONS_MAX: Final = 16
"""Most sessions of one address; the oldest ends for one more."""

USED_MAX: Final = 100_000
"""Most nonces that are remembered because they were used."""

TOKEN_PREFIX: Final = "dkgs_"  # noqa: S105 - it is no secret
"""What the token of a session begins with."""

_NONCE_BYTES: Final = 16
_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Site:
    """What this node is, for whoever signs in: domain and URI as messages have them, and the id of its chain."""

    domain: str
    uri: str
    chain_id: int


@dataclass(frozen=True, slots=True)
class Session:
    """Who has signed in, and until when, in Unix seconds."""

    address: bytes
    expires: int


class FullOfSessionsError(SignInError):
    """There is no room for another session now."""


class Sessions:
    """See the module. Used on one event loop. `clock`: Unix seconds; `chance`: random bytes."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._chance = chance
        self._key = chance(32)
        self._used: OrderedDict[str, int] = OrderedDict()
        self._open: OrderedDict[bytes, Session] = OrderedDict()

    @property
    def count(self) -> int:
        """Sessions that are open."""
        self._sweep()
        return len(self._open)

    def challenge(self, site: Site, address: bytes) -> SignIn:
        """What an address is given to sign."""
        issued = int(self._clock())
        seed = self._chance(_NONCE_BYTES).hex()
        bare = SignIn(site.domain, address, site.uri, site.chain_id, seed, issued, issued + CHALLENGE_S)
        return SignIn(site.domain, address, site.uri, site.chain_id, self._nonce(bare), issued, issued + CHALLENGE_S)

    def open(
        self, site: Site, message: str, signature: bytes, *, admit: Callable[[bytes], bool]
    ) -> tuple[str, Session]:
        """Open a session for whoever signed a challenge of this node; its token, told once, and what it is.

        `admit`: whether an address may have one. Raises `SignInError` and `SignatureError`. The checks, in order:

        1. The message is in the one form that there is, word for word.
        2. It is for this node: domain, URI and chain.
        3. It was given by this process: its nonce is the one for just these words.
        4. It has not expired, and its nonce was not used.
        5. The signature has the one form that there is (65 bytes, low S), and is by the address in the message.
        6. The address may have a session, and there is room for it.
        """
        found = SignIn.parse(message)  # 1
        _check_site(found, site)  # 2
        seed = found.nonce[: 2 * _NONCE_BYTES]
        bare = SignIn(found.domain, found.address, found.uri, found.chain_id, seed, found.issued, found.expires)
        if not hmac.compare_digest(self._nonce(bare), found.nonce):  # 3
            raise SignInError(
                "this node did not give this message to be signed, or it was started anew since: ask again"
            )
        self._sweep()
        if self._clock() >= found.expires:  # 4
            raise SignInError("the message has expired: ask for another one")
        if found.nonce in self._used:
            raise SignInError("the message was used already: ask for another one")
        if len(signature) != SIGNATURE_BYTES:  # 5
            raise SignatureError(f"a signature has {SIGNATURE_BYTES} bytes; this has {len(signature)}")
        if signed_by(message, signature) != found.address:
            raise SignInError(f"the message was not signed by {checksum(found.address)}")
        if not admit(found.address):  # 6
            raise SignInError(f"{checksum(found.address)} may read nothing here")
        return self._begin(found)

    def find(self, token: str) -> Session | None:
        """The session of a token; None if there is none, or it has ended."""
        found = self._open.get(_digest(token))
        return None if found is None or self._clock() >= found.expires else found

    def close(self, token: str) -> bool:
        """End a session; False: there was none."""
        return self._open.pop(_digest(token), None) is not None

    # --- below -----------------------------------------------------------------------------------------------------

    def _begin(self, found: SignIn) -> tuple[str, Session]:
        own = [digest for digest, one in self._open.items() if one.address == found.address]
        is_full = len(self._open) >= SESSIONS_MAX
        if len(self._used) >= USED_MAX or (is_full and not own):
            raise FullOfSessionsError("too many have signed in: try again later")
        if own and (is_full or len(own) >= ADDRESS_SESSIONS_MAX):
            del self._open[own[0]]
        self._used[found.nonce] = found.expires
        token = TOKEN_PREFIX + self._chance(_TOKEN_BYTES).hex()
        made = Session(found.address, int(self._clock()) + SESSION_S)
        self._open[_digest(token)] = made
        return token, made

    def _nonce(self, bare: SignIn) -> str:
        """A nonce for a message whose nonce is, so far, its first part."""
        return bare.nonce + hmac.new(self._key, bare.text().encode(), sha256).hexdigest()[:32]

    def _sweep(self) -> None:
        """Forget what has expired; both are in the order in which they were made, and live equally long."""
        now = self._clock()
        while self._open and next(iter(self._open.values())).expires <= now:
            self._open.popitem(last=False)
        while self._used and next(iter(self._used.values())) <= now:
            self._used.popitem(last=False)


def _check_site(found: SignIn, site: Site) -> None:
    for what, said, here in (
        ("domain", found.domain, site.domain),
        ("URI", found.uri, site.uri),
        ("chain", found.chain_id, site.chain_id),
    ):
        if said != here:
            raise SignInError(f"the message is for another {what} than this node's, which is {here}")


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
