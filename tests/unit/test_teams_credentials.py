"""The app proves who it is in one of three ways, asks once for many tokens, and tells nothing of its secret."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.failures import TeamsFailure, what_failed
from tests.fakes.scripted_server import Answer, ScriptedServer, told

APP = "11111111-aaaa-bbbb-cccc-222222222222"
TENANT = "0a0a0a0a-1111-2222-3333-444444444444"
PARTNER = "0b0b0b0b-1111-2222-3333-444444444444"
SECRET = "the-secret~of.the&app="
BOT = "https://api.botframework.com/.default"
GRAPH = "https://graph.microsoft.com/.default"


class Clock:
    now_s = 50_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def login() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer().open() as server:
        server.answers(a_token("t1"), a_token("t2"), a_token("t3"))
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_token(value: str, *, expires_in: int = 3_600) -> Answer:
    return told({"token_type": "Bearer", "expires_in": expires_in, "access_token": value})


def some_tokens(login: ScriptedServer, clock: Clock, **credentials: object) -> BotTokens:
    proof = Credentials(**(credentials or {"secret": SECRET}))  # type: ignore[arg-type]
    return BotTokens(APP, TENANT, proof, login_url=f"{login.url}/", clock=clock)


def form(login: ScriptedServer, number: int = -1) -> dict[str, str]:
    fields = parse_qs(login.requests[number].body.decode(), strict_parsing=True)
    return {name: values[0] for name, values in fields.items()}


async def test_a_secret_is_sent_to_the_login_of_the_apps_own_tenant(
    login: ScriptedServer, clock: Clock
) -> None:
    token = await some_tokens(login, clock).token(BOT)

    assert token == "t1"
    assert login.asked == [f"POST /{TENANT}/oauth2/v2.0/token"]
    sent = form(login)
    assert (sent["client_id"], sent["client_secret"], sent["scope"]) == (APP, SECRET, BOT)
    assert sent["grant_type"] == "client_credentials"


async def test_one_login_serves_a_thousand_turns(login: ScriptedServer, clock: Clock) -> None:
    tokens = some_tokens(login, clock)

    taken = await asyncio.gather(*(tokens.token(BOT) for _ in range(500)))
    taken += [await tokens.token(BOT) for _ in range(500)]

    assert set(taken) == {"t1"}
    assert len(login.requests) == 1


async def test_graph_and_other_tenants_have_tokens_of_their_own(
    login: ScriptedServer, clock: Clock
) -> None:
    tokens = some_tokens(login, clock)

    taken = [
        await tokens.token(BOT),
        await tokens.token(GRAPH),
        await tokens.token(GRAPH, tenant_id=PARTNER),
        await tokens.token(GRAPH, tenant_id=TENANT),
    ]

    assert taken == ["t1", "t2", "t3", "t2"]
    assert login.asked[2] == f"POST /{PARTNER}/oauth2/v2.0/token"


async def test_a_token_is_renewed_five_minutes_before_it_ends(
    login: ScriptedServer, clock: Clock
) -> None:
    tokens = some_tokens(login, clock)
    await tokens.token(BOT)

    clock.now_s += 3_600 - 301
    before = await tokens.token(BOT)
    clock.now_s += 2
    after = await tokens.token(BOT)

    assert (before, after) == ("t1", "t2")


async def test_the_old_token_serves_to_its_end_when_it_cannot_be_renewed(
    login: ScriptedServer, clock: Clock
) -> None:
    login.answers(a_token("t1"), Answer(status=503, body=b"<html>"))
    tokens = some_tokens(login, clock)
    await tokens.token(BOT)

    clock.now_s += 3_600 - 60
    assert await tokens.token(BOT) == "t1"

    clock.now_s += 61
    with pytest.raises(TeamsFailure):
        await tokens.token(BOT)


async def test_a_token_that_was_refused_is_replaced_once_for_all_who_had_it(
    login: ScriptedServer, clock: Clock
) -> None:
    tokens = some_tokens(login, clock)
    refused = await tokens.token(BOT)

    tokens.forget(BOT, refused)
    renewed = await tokens.token(BOT)
    tokens.forget(BOT, refused)

    assert await tokens.token(BOT) == renewed == "t2"
    assert len(login.requests) == 2


async def test_a_certificate_proves_the_app_without_any_secret(
    login: ScriptedServer, clock: Clock, tmp_path: Path
) -> None:
    key = generate_private_key(65_537, 2_048)
    path = tmp_path / "app.pem"
    path.write_bytes(pem(key) + a_certificate(key))

    assert await some_tokens(login, clock, certificate=path).token(GRAPH) == "t1"

    sent = form(login)
    assert "client_secret" not in sent
    assertion = sent["client_assertion"]
    claims = jwt.decode(
        assertion, key.public_key(), ["PS256", "RS256"], options={"verify_aud": False}
    )
    assert claims["iss"] == claims["sub"] == APP
    assert claims["aud"].endswith(f"/{TENANT}/oauth2/v2.0/token")
    assert "x5t#S256" in jwt.get_unverified_header(assertion)


async def test_a_certificate_renewed_on_disk_is_used_without_a_restart(
    login: ScriptedServer, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "app.pem"
    keys = [generate_private_key(65_537, 2_048) for _ in range(2)]
    tokens = some_tokens(login, clock, certificate=path)
    for key in keys:
        path.write_bytes(a_certificate(key) + pem(key))
        clock.now_s += 3_600
        await tokens.token(BOT)

    for number, key in enumerate(keys):
        jwt.decode(
            form(login, number)["client_assertion"],
            key.public_key(),
            ["PS256"],
            options={"verify_aud": False},
        )


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----", b"\xff\xfe"])
async def test_a_certificate_that_cannot_be_used_is_a_failure_like_any_other(
    login: ScriptedServer, clock: Clock, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "app.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(TeamsFailure) as failed:
        await some_tokens(login, clock, certificate=path).token(BOT)

    assert failed.value.status == 0
    assert str(tmp_path) not in str(failed.value)
    assert login.requests == []


async def test_a_key_without_its_certificate_is_said_to_be_one(
    login: ScriptedServer, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "app.pem"
    path.write_bytes(pem(generate_private_key(65_537, 2_048)))

    with pytest.raises(TeamsFailure, match="KeyWithoutCertificate"):
        await some_tokens(login, clock, certificate=path).token(BOT)

    assert login.requests == []


async def test_a_managed_identity_asks_the_machine_it_runs_on(
    login: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{login.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "told by the platform")
    # The machine itself is asked, whatever proxy the rest goes through.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    expires_on = str(int(time.time()) + 3_600)
    login.answers(told({"access_token": "mine", "expires_on": expires_on}))
    tokens = some_tokens(login, clock, managed_identity=True)

    taken = [await tokens.token(GRAPH) for _ in range(3)]

    assert taken == ["mine"] * 3
    assert len(login.requests) == 1
    target = login.requests[0].target
    assert f"client_id={APP}" in target
    assert "resource=https%3A%2F%2Fgraph.microsoft.com&" in target
    assert login.requests[0].headers["X-IDENTITY-HEADER"] == "told by the platform"


async def test_a_machine_without_an_identity_is_a_failure_like_any_other(
    login: ScriptedServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", login.url)
    login.answers(
        told({"error": "invalid_request", "error_description": "Identity not found"}, 400)
    )

    with pytest.raises(TeamsFailure) as failed:
        await some_tokens(login, clock, managed_identity=True).token(BOT)

    assert (failed.value.status, what_failed(failed.value)) == (400, "400 Login invalid_request")


async def test_a_refusal_is_told_by_its_code_and_without_the_secret(
    login: ScriptedServer, clock: Clock
) -> None:
    description = f"AADSTS7000215: Invalid client secret {SECRET} for app '{APP}'. Trace ID: 0-1"
    login.answers(told({"error": "invalid_client", "error_description": description}, 401))

    with pytest.raises(TeamsFailure) as failed:
        await some_tokens(login, clock).token(BOT)

    assert what_failed(failed.value) == "401 Login invalid_client AADSTS7000215"
    shown = f"{failed.value!r} {failed.value.message} {failed.value.__cause__}"
    assert SECRET not in shown
    assert APP not in shown


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(status=503, body=b"<html>"), 503),
        (Answer(status=500, body=b""), 500),
        (Answer(status=302, body=b"", headers={"Location": "/elsewhere"}), 302),
        (Answer(status=200, body=b"<html>"), 200),
        (Answer(status=200, body=b"[]"), 200),
        (Answer(status=200, body=b'{"access_token": ""}'), 200),
        (Answer(breaks_off=True), 0),
    ],
)
async def test_whatever_the_login_answers_is_a_token_or_a_failure(
    login: ScriptedServer, clock: Clock, answer: Answer, status: int
) -> None:
    login.answers(answer)

    with pytest.raises(TeamsFailure) as failed:
        await some_tokens(login, clock).token(BOT)

    assert failed.value.status == status
    assert len(login.requests) == 1


async def test_a_throttled_login_says_when_to_come_back(
    login: ScriptedServer, clock: Clock
) -> None:
    login.answers(told({"error": "temporarily_unavailable"}, 429, Retry_After="17"))

    with pytest.raises(TeamsFailure) as failed:
        await some_tokens(login, clock).token(BOT)

    assert (failed.value.status, failed.value.retry_after_s) == (429, 17)


async def test_a_login_that_is_away_is_asked_anew_by_the_next(
    login: ScriptedServer, clock: Clock
) -> None:
    login.answers(Answer(status=503), a_token("t1"))
    tokens = some_tokens(login, clock)

    with pytest.raises(TeamsFailure):
        await tokens.token(BOT)

    assert await tokens.token(BOT) == "t1"


async def test_whoever_stops_waiting_leaves_the_token_to_the_others(
    login: ScriptedServer, clock: Clock
) -> None:
    login.hold = asyncio.Event()
    tokens = some_tokens(login, clock)
    waiting = [asyncio.create_task(tokens.token(BOT)) for _ in range(2)]
    while not login.requests:
        await asyncio.sleep(0.005)

    waiting[0].cancel()
    login.hold.set()

    assert await waiting[1] == "t1"
    assert len(login.requests) == 1


def test_credentials_do_not_show_themselves() -> None:
    assert SECRET not in repr(Credentials(secret=SECRET))


def pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def a_certificate(key: RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shifu")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
