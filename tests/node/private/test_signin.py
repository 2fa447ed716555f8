"""Signing in (EIP-4361): each attack on it, and beside it the honest message that differs by one change."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.chain.secp import ORDER, SignatureError, checksum, keccak256, sign
from node.http import Scope
from node.private import sessions as module
from node.private.sessions import CHALLENGE_S, SESSION_S, FullOfSessionsError, Sessions, Site
from node.private.signin import MESSAGE_BYTES_MAX, SignIn, SignInError, signed_by
from tests.node.http.conftest import Clock, bearer
from tests.node.http.world import DOMAIN, ual
from tests.node.private.site import CANARY, GRANTED, KEYS, REVOKED, STRANGER, personal, who

if TYPE_CHECKING:
    from tests.node.private.site import PrivateSite

SITE = Site("kg.example.org", "https://kg.example.org/v1/session", 31337)
KEY, OTHER_KEY = KEYS[1], KEYS[2]


class Counting:
    """Random bytes that a test can tell."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, size: int) -> bytes:
        self.asked += 1
        return keccak256(b"%d" % self.asked)[:size]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock, Counting())


def everyone(_address: bytes) -> bool:
    return True


def opened(sessions: Sessions, message: str, signature: bytes, site: Site = SITE) -> str:
    return sessions.open(site, message, signature, admit=everyone)[0]


def given(sessions: Sessions, key: bytes = KEY, site: Site = SITE) -> str:
    return sessions.challenge(site, who(key)).text()


def test_a_signed_challenge_opens_a_session(sessions: Sessions) -> None:
    message = given(sessions)
    session = sessions.find(opened(sessions, message, personal(message, KEY)))
    assert session is not None
    assert session.address == who(KEY)


def test_a_wallet_of_another_make_signs_it_as_we_do(sessions: Sessions) -> None:
    message = given(sessions)
    made = Account.sign_message(encode_defunct(text=message), KEY)
    assert made.signature == personal(message, KEY)
    assert opened(sessions, message, bytes(made.signature))


def test_the_message_is_that_of_the_standard(sessions: Sessions) -> None:
    """https://eips.ethereum.org/EIPS/eip-4361, its ABNF as a regular expression."""
    form = (
        r"(?P<domain>[^ /]+) wants you to sign in with your Ethereum account:\n(?P<address>0x[0-9A-Fa-f]{40})\n\n"
        r"(?:(?P<statement>[^\n]+)\n)?\nURI: (?P<uri>[^ \n]+)\nVersion: 1\nChain ID: (?P<chain>[0-9]+)\n"
        r"Nonce: (?P<nonce>[A-Za-z0-9]{8,})\n"
        r"Issued At: (?P<issued>[0-9TZ:-]+)\nExpiration Time: (?P<expires>[0-9TZ:-]+)"
    )
    match = re.fullmatch(form, given(sessions))
    assert match is not None
    assert (match["domain"], match["uri"], match["chain"]) == (SITE.domain, SITE.uri, "31337")
    assert match["address"] == checksum(who(KEY))


# --- attacks -----------------------------------------------------------------------------------------------------


def test_a_replayed_nonce_opens_no_second_session(sessions: Sessions) -> None:
    message = given(sessions)
    signature = personal(message, KEY)
    opened(sessions, message, signature)
    with pytest.raises(SignInError, match="used already"):
        opened(sessions, message, signature)


def test_a_message_for_another_domain_opens_nothing(sessions: Sessions) -> None:
    """A page that the user was lured to has shown our nonce under its own name."""
    evil = replace(SignIn.parse(given(sessions)), domain="kg.example.org.evil.example").text()
    with pytest.raises(SignInError, match="another domain"):
        opened(sessions, evil, personal(evil, KEY))


def test_a_message_for_another_uri_opens_nothing(sessions: Sessions) -> None:
    evil = replace(SignIn.parse(given(sessions)), uri="https://evil.example/v1/session").text()
    with pytest.raises(SignInError, match="another URI"):
        opened(sessions, evil, personal(evil, KEY))


def test_a_message_for_another_chain_opens_nothing(sessions: Sessions) -> None:
    evil = replace(SignIn.parse(given(sessions)), chain_id=1).text()
    with pytest.raises(SignInError, match="another chain"):
        opened(sessions, evil, personal(evil, KEY))


def test_another_version_is_no_message(sessions: Sessions) -> None:
    evil = given(sessions).replace("Version: 1", "Version: 2")
    with pytest.raises(SignInError, match="line for line"):
        opened(sessions, evil, personal(evil, KEY))


def test_a_message_that_another_node_gave_opens_nothing_here(sessions: Sessions, clock: Clock) -> None:
    other = Sessions(clock, lambda size: b"\x07" * size)
    message = given(other)
    assert opened(other, message, personal(message, KEY))
    with pytest.raises(SignInError, match="did not give"):
        opened(sessions, message, personal(message, KEY))


def test_a_nonce_that_somebody_made_up_opens_nothing(sessions: Sessions) -> None:
    evil = replace(SignIn.parse(given(sessions)), nonce="a" * 64).text()
    with pytest.raises(SignInError, match="did not give"):
        opened(sessions, evil, personal(evil, KEY))


@pytest.mark.parametrize(("after_s", "opens"), [(CHALLENGE_S - 1, True), (CHALLENGE_S, False)])
def test_an_expired_message_opens_nothing(sessions: Sessions, clock: Clock, after_s: int, *, opens: bool) -> None:
    message = given(sessions)
    clock.now += after_s
    if opens:
        assert opened(sessions, message, personal(message, KEY))
        return
    with pytest.raises(SignInError, match="expired"):
        opened(sessions, message, personal(message, KEY))


@pytest.mark.parametrize("field", ["issued", "expires"])
def test_a_message_whose_time_was_altered_opens_nothing(sessions: Sessions, field: str) -> None:
    found = SignIn.parse(given(sessions))
    evil = replace(found, **{field: getattr(found, field) + 60}).text()
    with pytest.raises(SignInError, match="did not give"):
        opened(sessions, evil, personal(evil, KEY))


def test_a_high_s_signature_opens_nothing(sessions: Sessions) -> None:
    message = given(sessions)
    low = personal(message, KEY)
    high = low[:32] + (ORDER - int.from_bytes(low[32:64])).to_bytes(32) + bytes([55 - low[64]])
    with pytest.raises(SignatureError, match="low S"):
        opened(sessions, message, high)
    assert opened(sessions, message, low)  # the refusal used up nothing


def test_a_signature_by_another_key_opens_nothing(sessions: Sessions) -> None:
    message = given(sessions)
    with pytest.raises(SignInError, match="not signed by"):
        opened(sessions, message, personal(message, OTHER_KEY))


def test_a_message_with_another_address_opens_nothing(sessions: Sessions) -> None:
    """A nonce is for the address that asked for it."""
    evil = replace(SignIn.parse(given(sessions)), address=who(OTHER_KEY)).text()
    with pytest.raises(SignInError, match="did not give"):
        opened(sessions, evil, personal(evil, OTHER_KEY))


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text + "\n",
        lambda text: text + "\nResources:\n- https://evil.example/",
        lambda text: text + "\nRequest ID: 1",
        lambda text: text.replace("\nNonce", "\nNot Before: 2027-01-15T08:00:00Z\nNonce"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("Read private assets", "Transfer everything"),
        lambda text: text.replace("Chain ID: 31337", "Chain ID: 031337"),
        lambda text: text.replace("Chain ID: 31337", "Chain ID: 31337 "),
        lambda text: text.replace("0x", "0X", 1),
        lambda text: text.replace(checksum(who(KEY)), "0x" + who(KEY).hex()),
        lambda text: text.replace(checksum(who(KEY)), checksum(who(KEY)).swapcase().replace("0X", "0x")),
        lambda text: " " + text,
        lambda text: "https://" + text,
        lambda text: text.replace("Issued At: 2027-01-15", "Issued At: 2027-02-30"),
        lambda text: text.replace("Nonce: ", "Nonce: \u0430"),
        lambda _text: "",
    ],
)
def test_a_message_that_was_altered_or_has_more_lines_opens_nothing(sessions: Sessions, alter: object) -> None:
    message = given(sessions)
    evil = alter(message)  # type: ignore[operator]
    assert evil != message
    with pytest.raises(SignInError):
        opened(sessions, evil, personal(evil, KEY))


def test_a_signature_of_a_commit_opens_nothing(sessions: Sessions) -> None:
    message = given(sessions)
    commit = SignedCommit.make(DOMAIN, Commit(who(KEY), 1, bytes([1]) * 32, 1, ZERO_HASH, 1), KEY)
    with pytest.raises(SignInError, match="not signed by"):
        opened(sessions, message, commit.signature)


def test_a_signature_of_a_transaction_opens_nothing(sessions: Sessions) -> None:
    message = given(sessions)
    made = Account.sign_transaction(
        {"to": "0x" + "00" * 20, "value": 1, "nonce": 0, "gas": 21_000, "chainId": 31337,
         "maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, KEY
    )  # fmt: skip
    signature = made.r.to_bytes(32) + made.s.to_bytes(32) + bytes([27 + made.v])
    with pytest.raises(SignInError, match="not signed by"):
        opened(sessions, message, signature)


def test_a_signature_of_the_bare_message_opens_nothing(sessions: Sessions) -> None:
    message = given(sessions)
    with pytest.raises(SignInError, match="not signed by"):
        opened(sessions, message, sign(keccak256(message.encode()), KEY))


@pytest.mark.parametrize("size", [0, 64, 66, 130])
def test_a_signature_of_another_length_opens_nothing(sessions: Sessions, size: int) -> None:
    message = given(sessions)
    with pytest.raises(SignatureError, match="65 bytes"):
        opened(sessions, message, (personal(message, KEY) * 2)[:size])


@pytest.mark.parametrize("v", [0, 1, 29, 255])
def test_a_signature_with_another_v_opens_nothing(sessions: Sessions, v: int) -> None:
    message = given(sessions)
    with pytest.raises(SignatureError, match="27 or 28"):
        opened(sessions, message, personal(message, KEY)[:64] + bytes([v]))


def test_whoever_may_read_nothing_gets_no_session(sessions: Sessions) -> None:
    message = given(sessions)
    with pytest.raises(SignInError, match="may read nothing"):
        sessions.open(SITE, message, personal(message, KEY), admit=lambda _: False)


def test_a_message_is_read_as_it_is_written_or_not_at_all(sessions: Sessions) -> None:
    message = given(sessions)
    assert SignIn.parse(message).text() == message
    assert signed_by(message, personal(message, KEY)) == who(KEY)
    with pytest.raises(SignInError):
        SignIn.parse(message + " " * MESSAGE_BYTES_MAX)


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after_s", "lasts"), [(SESSION_S - 1, True), (SESSION_S, False)])
def test_a_session_lasts_so_long_and_no_longer(sessions: Sessions, clock: Clock, after_s: int, *, lasts: bool) -> None:
    message = given(sessions)
    token = opened(sessions, message, personal(message, KEY))
    clock.now += after_s
    assert (sessions.find(token) is not None) is lasts
    assert sessions.count == lasts


def test_one_session_more_than_an_address_may_have_ends_its_oldest(sessions: Sessions) -> None:
    tokens = []
    for _ in range(module.ADDRESS_SESSIONS_MAX + 1):
        message = given(sessions)
        tokens.append(opened(sessions, message, personal(message, KEY)))
    assert [sessions.find(token) is not None for token in tokens] == [False] + [True] * module.ADDRESS_SESSIONS_MAX


def test_one_session_more_than_there_may_be_is_refused_and_nobody_loses_one(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SESSIONS_MAX", 2)
    for key in KEYS[:2]:
        message = given(sessions, key)
        opened(sessions, message, personal(message, key))
    message = given(sessions, KEYS[3])
    with pytest.raises(FullOfSessionsError):
        opened(sessions, message, personal(message, KEYS[3]))
    message = given(sessions, KEYS[0])
    assert opened(sessions, message, personal(message, KEYS[0]))  # in the place of its own
    assert sessions.count == 2


def test_used_nonces_are_remembered_until_they_expire_and_no_more_than_so_many(
    sessions: Sessions, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "USED_MAX", 2)
    for _ in range(2):
        message = given(sessions)
        opened(sessions, message, personal(message, KEY))
    message = given(sessions)
    with pytest.raises(FullOfSessionsError):
        opened(sessions, message, personal(message, KEY))
    clock.now += CHALLENGE_S
    message = given(sessions)
    assert opened(sessions, message, personal(message, KEY))


def test_challenges_that_nobody_answers_take_no_room(sessions: Sessions) -> None:
    for _ in range(1_000):
        given(sessions)
    assert (len(sessions._used), sessions.count) == (0, 0)


# --- over HTTP ---------------------------------------------------------------------------------------------------


def test_a_session_reads_until_its_grant_is_revoked_and_not_one_request_longer(own: PrivateSite) -> None:
    shown, path = own.session(GRANTED), f"/v1/assets/{ual(0, 'air')}/private"
    assert CANARY in own.get(path, headers=shown).text
    assert own.revoke(GRANTED, "air").json() == {"revoked": True}
    assert own.get(path, headers=shown).status_code == 404
    assert own.get("/v1/session", headers=shown).json()["address"] == checksum(who(GRANTED))
    own.grant(GRANTED, "air")
    assert CANARY in own.get(path, headers=shown).text
    assert own.ask("DELETE", "/v1/session", headers=shown).json() == {"ended": True}
    assert own.get(path, headers=shown).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"no json", 400, "parameter-invalid"),
        (b"[]", 400, "parameter-invalid"),
        (b'{"address": "0x"}', 400, "parameter-invalid"),
        (b'{"address": "0x00", "chain_id": 31337}', 400, "parameter-invalid"),
        (b'{"address": 1, "chain_id": 31337}', 400, "parameter-invalid"),
        (b'{"address": "0x%b", "chain_id": 1}' % (b"0" * 40), 400, "parameter-invalid"),
        (b'{"address": "0x%b", "chain_id": true}' % (b"0" * 40), 400, "parameter-invalid"),
        (b"[" * 10_000, 400, "parameter-invalid"),
        (b"x" * (16 * 1024 + 1), 413, "body-too-large"),
        (b'{"address": "0x%b", "chain_id": 31337}' % (b"0" * 40), 200, None),
    ],
)
def test_a_challenge_is_asked_for_in_one_way(shared: PrivateSite, body: bytes, status: int, code: str | None) -> None:
    response = shared.post("/v1/session/challenge", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.json().get("code") == code


def test_a_session_is_refused_in_words_and_without_a_trace(shared: PrivateSite) -> None:
    message = shared.challenge(REVOKED)
    refused = shared.answer(message, personal(message, STRANGER))
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    stranger = shared.challenge(STRANGER)
    assert shared.answer(stranger, personal(stranger, STRANGER)).status_code == 401
    assert shared.post("/v1/session", json={"message": message, "signature": "0x00"}).status_code == 400
    assert shared.post("/v1/session", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415


def test_the_domain_is_what_the_node_is_configured_as_and_not_what_a_client_says(own: PrivateSite) -> None:
    named = own.made_with(public_url="https://kg.example.org", hosts=("127.0.0.1",))
    asked = {"address": checksum(who(GRANTED)), "chain_id": 31337}
    said = named.post("/v1/session/challenge", json=asked, headers={"Host": "127.0.0.1"}).json()["message"]
    assert said.startswith("kg.example.org wants you")
    assert "URI: https://kg.example.org/v1/session\n" in said
    nameless = own.made_with(host="0.0.0.0")
    assert nameless.post("/v1/session/challenge", json=asked).json()["code"] == "input-invalid"


def test_a_session_is_good_for_reading_alone(own: PrivateSite) -> None:
    shown = own.session(GRANTED)
    for method, path in (("GET", "/v1/operations"), ("GET", "/v1/grants"), ("GET", "/metrics")):
        assert own.ask(method, path, headers=shown).status_code == 401
    put = own.ask("PUT", f"/v1/assets/{ual(0, 'air')}/private", content=b"", headers=shown)
    assert put.status_code == 401


@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_that_is_bound_to_no_address_reads_nothing(shared: PrivateSite, scope: Scope) -> None:
    response = shared.get(f"/v1/assets/{ual(0, 'air')}/private", headers=bearer(scope))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
