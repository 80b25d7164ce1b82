"""Only Teams delivers activities, for this bot, in the tenants that are ours; everything else is refused."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from adapters.teams.hosts import KnownHosts
from adapters.teams.inbound_tokens import Denied, InboundTokens, KeysUnavailable
from adapters.teams.outbox_wire import connector_session
from tests.fakes.scripted_server import Answer, ScriptedServer, told
from tests.fakes.teams.signing import ISSUER

APP = "11111111-aaaa-bbbb-cccc-222222222222"
OURS = "0a0a0a0a-1111-2222-3333-444444444444"
FOREIGN = "0b0b0b0b-1111-2222-3333-444444444444"
SERVICE_URL = "https://smba.trafficmanager.net/apac/"
HOSTS = KnownHosts(["smba.trafficmanager.net", ".botframework.com"])
DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Front:
    """The front door, and the server with the keys behind it."""

    def __init__(self, tokens: InboundTokens, keys: ScriptedServer, clock: Clock) -> None:
        self.tokens = tokens
        self.keys = keys
        self.clock = clock

    async def refusal(self, header: str, activity: dict[str, Any] | None = None) -> str:
        with pytest.raises(Denied) as denied:
            await self.tokens.check(header, an_activity() if activity is None else activity)
        return denied.value.reason


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with ScriptedServer().open() as keys, connector_session() as http:
        keys.answers(published("k1"))
        clock = Clock()
        tokens = InboundTokens(
            APP,
            [OURS.upper()],
            HOSTS,
            http,
            keys_url=f"{keys.url}/keys",
            issuer=ISSUER,
            clock=clock,
        )
        yield Front(tokens, keys, clock)


@cache
def private_key(id: str) -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


def a_key(id: str, *, endorsements: Any = ("msteams", "webchat"), **fields: Any) -> dict[str, Any]:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(private_key(id).public_key(), as_dict=True)
    return {**public, "kid": id, "endorsements": list(endorsements), **fields}


def published(*ids: str) -> Answer:
    return told({"keys": [a_key(id) for id in ids]})


def a_header(
    *, signed_by: str = "k1", kid: Any = None, drop: str = "", alg: str = "RS256", **claims: Any
) -> str:
    now = int(time.time())
    all_claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": APP,
        "serviceurl": SERVICE_URL,
        "nbf": now - 10,
        "exp": now + 3_600,
    }
    all_claims.update(claims)
    all_claims.pop(drop, None)
    key = private_key(signed_by) if alg == "RS256" else "a shared secret of thirty-two letters"
    signing_key: Any = None if alg == "none" else key
    headers = {"kid": signed_by if kid is None else kid}
    return "Bearer " + jwt.encode(all_claims, signing_key, algorithm=alg, headers=headers)


def an_activity(*, tenant: str | None = OURS, **fields: Any) -> dict[str, Any]:
    activity = {
        "type": "message",
        "channelId": "msteams",
        "serviceUrl": SERVICE_URL,
        "conversation": {"id": "19:a@thread.tacv2", "tenantId": tenant},
    }
    return {name: value for name, value in (activity | fields).items() if value is not None}


async def test_what_teams_signed_for_this_bot_is_let_in(front: Front) -> None:
    claims = await front.tokens.check(a_header(), an_activity())

    assert (claims["aud"], claims["serviceurl"]) == (APP, SERVICE_URL)


async def test_an_invoke_is_let_in_in_the_same_way(front: Front) -> None:
    await front.tokens.check(a_header(), an_activity(type="invoke", name="task/fetch", value={}))


async def test_a_slash_at_the_end_of_the_address_makes_no_difference(front: Front) -> None:
    await front.tokens.check(a_header(), an_activity(serviceUrl=SERVICE_URL.rstrip("/")))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer ....",
        "Bearer \ud800.\ud800.\ud800",
        "Bearer " + "a" * 1_000_000,
        "Bearer " + base64.urlsafe_b64encode(b"[" * 9_000).decode().rstrip("=") + ".e30.e30",
        "Bearer " + base64.urlsafe_b64encode(b'{"alg":[],"kid":{}}').decode().rstrip("=") + ".e.e",
    ],
)
async def test_no_token_and_no_real_one_is_denied_without_asking_for_keys(
    front: Front, header: str
) -> None:
    with pytest.raises(Denied):
        await front.tokens.check(header, an_activity())

    assert front.keys.requests == []


@given(header=st.text(), body=st.text())
def test_whatever_the_header_holds_is_denied_and_never_an_error(header: str, body: str) -> None:
    async def check() -> None:
        async with connector_session() as http:
            tokens = InboundTokens(
                APP, [OURS], HOSTS, http, keys_url="http://127.0.0.1:9/", issuer=ISSUER
            )
            for text in (header, f"Bearer {header}", f"Bearer {header}.{body}.{header}"):
                with pytest.raises((Denied, KeysUnavailable)):
                    await tokens.check(text, an_activity())

    asyncio.run(check())


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ({"exp": 1}, "ExpiredSignatureError"),
        ({"drop": "exp"}, "MissingRequiredClaimError"),
        ({"nbf": int(time.time()) + 3_600}, "ImmatureSignatureError"),
        ({"aud": "another bot"}, "InvalidAudienceError"),
        ({"drop": "aud"}, "MissingRequiredClaimError"),
        (
            {"iss": "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"},
            "InvalidIssuerError",
        ),
        ({"iss": f"https://login.microsoftonline.com/{OURS}/v2.0"}, "InvalidIssuerError"),
        ({"iss": "https://api.botframework.com.evil.test"}, "InvalidIssuerError"),
        ({"drop": "iss"}, "MissingRequiredClaimError"),
        ({"drop": "serviceurl"}, "MissingRequiredClaimError"),
        ({"serviceurl": 7}, "serviceUrl"),
        ({"signed_by": "k2", "kid": "k1"}, "InvalidSignatureError"),
        ({"signed_by": "k2"}, "key"),
        ({"kid": ""}, "algorithm"),
        ({"alg": "none"}, "malformed"),
        ({"alg": "HS256"}, "algorithm"),
    ],
)
async def test_a_token_that_is_wrong_anywhere_is_denied(
    front: Front, token: dict[str, Any], reason: str
) -> None:
    assert await front.refusal(a_header(**token)) == reason


async def test_the_emulators_tokens_are_denied_though_they_name_the_bot(front: Front) -> None:
    issuer = "https://login.microsoftonline.com/d6d49420-f39b-4df7-a1dc-d59a935871db/v2.0"

    reason = await front.refusal(a_header(iss=issuer, appid=APP, azp=APP, drop="serviceurl"))

    assert reason in ("InvalidIssuerError", "MissingRequiredClaimError")


async def test_a_token_just_expired_is_let_in_because_clocks_differ(front: Front) -> None:
    await front.tokens.check(a_header(exp=int(time.time()) - 60), an_activity())


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        7,
        ["https://smba.trafficmanager.net/apac/"],
        "https://smba.trafficmanager.net/emea/",
        "https://evil.test/apac/",
    ],
)
async def test_an_activity_that_names_another_address_than_its_token_is_denied(
    front: Front, url: Any
) -> None:
    assert await front.refusal(a_header(), an_activity(serviceUrl=url)) == "serviceUrl"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/apac/",
        "http://smba.trafficmanager.net/apac/",
        "https://smba.trafficmanager.net.evil.test/",
        "https://smba.trafficmanager.net@evil.test/",
        "https://smba.trafficmanager.net:x@evil.test/",
        "https://evil.test\\@smba.trafficmanager.net/",
        "https://smba.trafficmanager.net\\.evil.test/",
        "https://evil.test#.botframework.com",
        "https://evil.test/.botframework.com/",
        "https://smba.trafficmanager.net:8443/",
        "https://x.smba.trafficmanager.net/",
        "https://botframework.com/",
        "https://.botframework.com/",
        "https://evilbotframework.com/",
        "https://smba.trafficmanager.net./",
        "https://smba.trafficmanager.net/a?b",
        "https://smba.trafficmanager.net/a#b",
        "https://smba.trafficmanager.net/\r\nHost: evil.test",
        " https://smba.trafficmanager.net/",
        "//smba.trafficmanager.net/",
        "https:smba.trafficmanager.net/",
        "file://smba.trafficmanager.net/",
        "https://ｓmba.trafficmanager.net/",
        "http://127.0.0.1:8080/",
        "https://localhost/",
        "https://[::1]/",
    ],
)
async def test_no_address_but_microsofts_own_is_let_in_whoever_signed_it(
    front: Front, url: str
) -> None:
    reason = await front.refusal(a_header(serviceurl=url), an_activity(serviceUrl=url))

    assert reason == "serviceUrl"


@pytest.mark.parametrize(
    "url",
    [
        "https://smba.trafficmanager.net/",
        "https://SMBA.trafficmanager.net/teams",
        "https://smba.trafficmanager.net:443/amer/0a-1/",
        "https://europe.webchat.botframework.com/",
    ],
)
async def test_all_of_microsofts_own_addresses_are_let_in(front: Front, url: str) -> None:
    await front.tokens.check(a_header(serviceurl=url), an_activity(serviceUrl=url))


@pytest.mark.parametrize("channel", [None, "webchat", "emulator", "directline", ["msteams"]])
async def test_other_channels_than_teams_are_denied(front: Front, channel: Any) -> None:
    assert await front.refusal(a_header(), an_activity(channelId=channel)) == "channel"


async def test_a_key_that_is_not_endorsed_for_teams_is_denied(front: Front) -> None:
    front.keys.answers(told({"keys": [a_key("k1", endorsements=["webchat"])]}))

    assert await front.refusal(a_header()) == "channel"


@pytest.mark.parametrize(
    "activity",
    [
        an_activity(tenant=FOREIGN),
        an_activity(tenant=None),
        an_activity(tenant=""),
        an_activity(conversation=None),
        an_activity(conversation="19:a@thread.tacv2", channelData="?"),
        an_activity(tenant=FOREIGN, channelData={"tenant": {"id": OURS}}),
        an_activity(tenant=None, channelData={"tenant": {"id": FOREIGN}}),
        an_activity(tenant=None, channelData={"tenant": OURS}),
        an_activity(tenant=None, channelData={"tenant": {"id": [OURS]}}),
    ],
)
async def test_conversations_of_other_tenants_are_denied(
    front: Front, activity: dict[str, Any]
) -> None:
    assert await front.refusal(a_header(), activity) == "tenant"


async def test_the_tenant_may_be_told_in_the_channel_data_alone(front: Front) -> None:
    activity = an_activity(tenant=None, channelData={"tenant": {"id": OURS.upper()}})

    await front.tokens.check(a_header(), activity)


async def test_an_outsider_in_a_conversation_of_ours_is_let_in(front: Front) -> None:
    activity = an_activity(
        channelData={"tenant": {"id": FOREIGN}}, sender={"id": "29:x", "tenantId": FOREIGN}
    )

    await front.tokens.check(a_header(), activity)


async def test_keys_are_fetched_once_for_all_who_wait_for_them(front: Front) -> None:
    front.keys.hold = asyncio.Event()
    waiting = [
        asyncio.create_task(front.tokens.check(a_header(), an_activity())) for _ in range(20)
    ]
    while not front.keys.requests:
        await asyncio.sleep(0)
    front.keys.hold.set()

    await asyncio.gather(*waiting)

    assert front.keys.asked == ["GET /keys"]


async def test_a_new_key_is_looked_up_when_the_first_token_names_it(front: Front) -> None:
    await front.tokens.check(a_header(), an_activity())
    front.keys.answers(published("k1", "k2"))
    front.clock.now_s += 301

    await front.tokens.check(a_header(signed_by="k2"), an_activity())
    await front.tokens.check(a_header(), an_activity())

    assert len(front.keys.requests) == 2


async def test_invented_keys_do_not_make_us_ask_again_and_again(front: Front) -> None:
    await front.tokens.check(a_header(), an_activity())

    for number in range(50):
        assert await front.refusal(a_header(kid=f"invented {number}")) == "key"

    assert len(front.keys.requests) == 1


async def test_a_key_that_is_withdrawn_is_denied_a_day_later(front: Front) -> None:
    await front.tokens.check(a_header(), an_activity())
    front.keys.answers(published("k2"))
    front.clock.now_s += DAY_S + 1

    assert await front.refusal(a_header()) == "key"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=503),
        Answer(status=302, headers={"Location": "/elsewhere"}),
        Answer(body=b"<html>"),
        Answer(body=b"\xff\xfe\xff"),
        Answer(body=b"[]"),
        Answer(body=b'{"keys": {}}'),
        Answer(body=b'{"keys": [{"kid": "k1", "kty": "oct", "k": "AAAA"}]}'),
        Answer(body=b'{"keys": [{"kid": "k1", "kty": "RSA", "endorsements": ["msteams"]}]}'),
        Answer(body=b" " * 2_000_000),
        Answer(breaks_off=True),
    ],
)
async def test_without_keys_teams_is_asked_to_deliver_again(front: Front, answer: Answer) -> None:
    front.keys.answers(answer)

    with pytest.raises(KeysUnavailable):
        await front.tokens.check(a_header(), an_activity())


async def test_after_a_failure_keys_are_asked_for_at_most_every_ten_seconds(front: Front) -> None:
    front.keys.answers(Answer(status=503), published("k1"))
    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            await front.tokens.check(a_header(), an_activity())
    assert len(front.keys.requests) == 1

    front.clock.now_s += 11
    await front.tokens.check(a_header(), an_activity())


async def test_known_keys_go_on_serving_while_the_server_with_them_is_away(front: Front) -> None:
    await front.tokens.check(a_header(), an_activity())
    front.keys.answers(Answer(status=503))

    front.clock.now_s += 2 * DAY_S
    await front.tokens.check(a_header(), an_activity())
    with pytest.raises(KeysUnavailable):
        await front.tokens.check(a_header(signed_by="k2"), an_activity())

    front.clock.now_s += 2 * DAY_S
    with pytest.raises(KeysUnavailable):
        await front.tokens.check(a_header(), an_activity())


async def test_an_entry_that_nobody_understands_leaves_the_others_in_use(front: Front) -> None:
    odd: list[Any] = [7, {"kty": "RSA"}, a_key("k1", n="!"), a_key("k2", kty="EC"), a_key("k3")]
    front.keys.answers(told({"keys": odd}))

    await front.tokens.check(a_header(signed_by="k3"), an_activity())

    assert await front.refusal(a_header()) == "key"


async def test_what_was_denied_says_nothing_of_the_token(front: Front) -> None:
    secret = json.dumps({"kid": "k1"})

    reason = await front.refusal(a_header(aud=f"wrong {secret}"))

    assert reason == "InvalidAudienceError"
