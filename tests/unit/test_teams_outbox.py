"""What is sent to Teams arrives once, at its own hosts alone, in the pace it allows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.teams.failures import TEAMS_FAILURES, TeamsFailure, retry_after_s, wait_s, what_failed
from adapters.teams.hosts import KnownHosts
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.outbox_wire import connector_session
from adapters.teams.pace import SENDS, Pace, TooFast
from adapters.teams.places import Place
from tests.fakes.scripted_server import Answer, ScriptedServer, told
from tests.fakes.teams.platform import BOT_SCOPE

TENANT = "0a0a0a0a-1111-2222-3333-444444444444"
BOT = "28:11111111-aaaa-bbbb-cccc-222222222222"
CHANNEL = "19:f0f0@thread.tacv2"
CHANNEL_PATH = "/apac/v3/conversations/19%3Af0f0%40thread.tacv2"
HELLO = {"type": "message", "text": "哈囉"}


class Tokens:
    """Numbers its tokens, so that the tests see which one was sent."""

    def __init__(self) -> None:
        self.number = 1

    async def token(self, scope: str, *, tenant_id: str = "") -> str:
        assert scope == BOT_SCOPE
        return f"token-{self.number}"

    def forget(self, scope: str, token: str, *, tenant_id: str = "") -> None:
        if token == f"token-{self.number}":
            self.number += 1


class Teams:
    def __init__(self, server: ScriptedServer, outbox: TeamsOutbox) -> None:
        self.server = server
        self.outbox = outbox

    @property
    def service_url(self) -> str:
        return f"{self.server.url}/apac/"

    def channel(self, thread: str = "") -> TeamsAddress:
        return TeamsAddress(self.service_url, CHANNEL, thread, TENANT, BOT)

    async def roster(self) -> list[Any]:
        return [member async for member in self.outbox.members(self.channel())]


@asynccontextmanager
async def a_teams(
    tokens: Tokens | None = None, *, patience_s: float = 30.0
) -> AsyncIterator[Teams]:
    async with ScriptedServer().open() as server, connector_session() as http:
        hosts = KnownHosts(["127.0.0.1", "smba.trafficmanager.net"])
        outbox = TeamsOutbox(
            http, tokens or Tokens(), hosts, scope=BOT_SCOPE, patience_s=patience_s
        )
        yield Teams(server, outbox)


@pytest.fixture
async def teams() -> AsyncIterator[Teams]:
    async with a_teams() as opened:
        yield opened


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been waited; none of it is."""
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(delay_s: float) -> None:
        waited.append(delay_s)
        await sleep(0)

    monkeypatch.setattr("adapters.teams.outbox_wire.asyncio.sleep", note)
    return waited


def refusal(status: int, code: str = "", message: str = "", **headers: str) -> Answer:
    return told({"error": {"code": code, "message": message}}, status, **headers)


async def test_a_message_goes_to_the_conversation_and_its_id_comes_back(teams: Teams) -> None:
    teams.server.answers(told({"id": "1700000000001"}, 201))

    id = await teams.outbox.send(teams.channel(), HELLO)

    assert id == "1700000000001"
    assert teams.server.asked == [f"POST {CHANNEL_PATH}/activities"]
    request = teams.server.requests[0]
    assert request.token == "token-1"
    assert request.json == {
        **HELLO,
        "channelId": "msteams",
        "serviceUrl": teams.service_url,
        "from": {"id": BOT},
        "conversation": {"id": CHANNEL},
    }
    assert "哈囉" in request.body.decode()


async def test_a_threads_id_is_part_of_the_path_and_quoted(teams: Teams) -> None:
    await teams.outbox.send(teams.channel("1700000000001"), HELLO)

    path = f"{CHANNEL_PATH}%3Bmessageid%3D1700000000001/activities"
    assert teams.server.asked == [f"POST {path}"]
    assert teams.server.requests[0].json["conversation"]["id"].endswith(";messageid=1700000000001")


@pytest.mark.parametrize(
    "id", ["a:1_b-c/d", "19:a b@unq.gbl.spaces", "../../v3/teams", "a%2Fb?c#d", "會議"]
)
async def test_no_id_leaves_its_place_in_the_path(teams: Teams, id: str) -> None:
    to = TeamsAddress(teams.service_url, id, "", TENANT, BOT)

    await teams.outbox.update(to, id, HELLO)

    segments = teams.server.requests[0].target.split("/")
    assert segments[1:4] == ["apac", "v3", "conversations"]
    assert (len(segments), segments[5]) == (7, "activities")
    assert "?" not in teams.server.requests[0].target


async def test_messages_are_changed_by_their_id(teams: Teams) -> None:
    await teams.outbox.update(teams.channel("7"), "42", HELLO)

    path = f"{CHANNEL_PATH}%3Bmessageid%3D7/activities/42"
    assert teams.server.asked == [f"PUT {path}"]
    assert teams.server.requests[0].json["id"] == "42"


async def test_a_targeted_message_names_its_reader(teams: Teams) -> None:
    teams.server.answers(told({"id": "43"}))

    id = await teams.outbox.send_targeted(teams.channel(), "29:carol", HELLO)

    assert id == "43"
    assert teams.server.asked == [f"POST {CHANNEL_PATH}/activities?isTargetedActivity=true"]
    assert teams.server.requests[0].json["recipient"] == {"id": "29:carol"}


async def test_a_chat_with_one_person_is_opened_in_their_tenant(teams: Teams) -> None:
    teams.server.answers(told({"id": "a:chat"}, 201))

    id = await teams.outbox.open_direct(teams.service_url, TENANT, BOT, "29:carol")

    assert id == "a:chat"
    assert teams.server.asked == ["POST /apac/v3/conversations"]
    asked = teams.server.requests[0].json
    assert asked["members"] == [{"id": "29:carol"}]
    assert (asked["tenantId"], asked["isGroup"]) == (TENANT, False)


async def test_a_chat_that_is_opened_without_an_id_is_a_failure(teams: Teams) -> None:
    with pytest.raises(TeamsFailure, match="NoConversationId"):
        await teams.outbox.open_direct(teams.service_url, TENANT, BOT, "29:carol")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"OK", b"[]", b'{"id": 7}', b'"id"', b"\xff", b"[" * 9_000]
)
async def test_a_send_that_tells_no_id_is_done_all_the_same(teams: Teams, body: bytes) -> None:
    teams.server.answers(Answer(202, body))

    assert await teams.outbox.send(teams.channel(), HELLO) == ""


async def test_half_a_character_does_not_make_the_rest_unsayable(teams: Teams) -> None:
    await teams.outbox.send(teams.channel(), {"type": "message", "text": "好\ud83d"})

    assert teams.server.requests[0].json["text"] == "好?"


@pytest.mark.parametrize(
    "service_url",
    [
        "",
        "https://evil.test/",
        "http://smba.trafficmanager.net/",
        "https://smba.trafficmanager.net@evil.test/",
        "https://smba.trafficmanager.net/?x=",
        "http://localhost:1/",
    ],
)
async def test_nothing_is_sent_to_other_hosts_not_even_a_question(
    teams: Teams, service_url: str
) -> None:
    to = TeamsAddress(service_url, CHANNEL, "", TENANT, BOT)
    calls: list[Callable[[], Any]] = [
        lambda: teams.outbox.send(to, HELLO),
        lambda: teams.outbox.send_targeted(to, "29:carol", HELLO),
        lambda: teams.outbox.update(to, "1", HELLO),
        lambda: teams.outbox.open_direct(service_url, TENANT, BOT, "29:carol"),
        lambda: teams.outbox.team_group(service_url, CHANNEL),
        lambda: teams.outbox.members(to).__anext__(),
        lambda: teams.outbox.channels(service_url, CHANNEL),
    ]

    for call in calls:
        with pytest.raises(TeamsFailure, match="UnknownHost"):
            await call()

    assert teams.server.requests == []


async def test_no_redirect_takes_the_token_elsewhere(teams: Teams) -> None:
    elsewhere = f"{teams.server.url}/elsewhere"
    teams.server.answers(Answer(307, b"", {"Location": elsewhere}), told({"id": "1"}))

    with pytest.raises(TeamsFailure) as failed:
        await teams.outbox.send(teams.channel(), HELLO)

    assert failed.value.status == 307
    assert len(teams.server.requests) == 1


async def test_without_tokens_none_is_sent() -> None:
    async with ScriptedServer().open() as server, connector_session() as http:
        outbox = TeamsOutbox(http, None, KnownHosts(["127.0.0.1"]), scope=BOT_SCOPE)

        await outbox.send(TeamsAddress(server.url, "a:1", "", TENANT, BOT), HELLO)

        assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize("status", [412, 429, 502, 504])
async def test_what_teams_wants_to_be_asked_again_is_asked_again(
    teams: Teams, no_pauses: list[float], status: int
) -> None:
    teams.server.answers(refusal(status), Answer(status, b"<html>"), told({"id": "1"}))

    assert await teams.outbox.send(teams.channel(), HELLO) == "1"

    assert len(teams.server.requests) == 3
    assert no_pauses[0] < no_pauses[1]


async def test_the_pause_is_as_long_as_teams_asks_for(teams: Teams, no_pauses: list[float]) -> None:
    teams.server.answers(refusal(429, Retry_After="7"), told({"id": "1"}))

    await teams.outbox.send(teams.channel(), HELLO)

    assert 7 <= no_pauses[0] < 8


async def test_nobody_waits_longer_than_for_one_message_makes_sense(
    teams: Teams, no_pauses: list[float]
) -> None:
    teams.server.answers(refusal(429, "Throttled", Retry_After="120"))

    with pytest.raises(TeamsFailure) as failed:
        await teams.outbox.send(teams.channel(), HELLO)

    assert (failed.value.retry_after_s, wait_s(failed.value)) == (120, 120)
    assert no_pauses == []


async def test_it_is_given_up_after_four_tries(teams: Teams, no_pauses: list[float]) -> None:
    teams.server.answers(refusal(502, "ServiceError"))

    with pytest.raises(TeamsFailure, match="502 ServiceError"):
        await teams.outbox.send(teams.channel(), HELLO)

    assert (len(teams.server.requests), len(no_pauses)) == (4, 3)


async def test_what_is_soon_out_of_date_is_tried_once(teams: Teams, no_pauses: list[float]) -> None:
    teams.server.answers(refusal(429, Retry_After="1"))

    for call in (
        lambda: teams.outbox.send(teams.channel(), HELLO, is_patient=False),
        lambda: teams.outbox.update(teams.channel(), "1", HELLO, is_patient=False),
    ):
        with pytest.raises(TeamsFailure):
            await call()

    assert (len(teams.server.requests), no_pauses) == (2, [])


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 500, 501, 503])
async def test_every_other_refusal_is_final(
    teams: Teams, no_pauses: list[float], status: int
) -> None:
    teams.server.answers(refusal(status, "Code", "why"))

    with pytest.raises(TeamsFailure) as failed:
        await teams.outbox.send(teams.channel(), HELLO)

    assert (failed.value.status, failed.value.code, failed.value.message) == (status, "Code", "why")
    assert len(teams.server.requests) == 1


async def test_a_new_message_is_not_sent_again_when_the_connection_breaks(
    teams: Teams, no_pauses: list[float]
) -> None:
    teams.server.answers(Answer(breaks_off=True), told({"id": "1"}))

    with pytest.raises(aiohttp.ClientError):
        await teams.outbox.send(teams.channel(), HELLO)

    assert len(teams.server.requests) == 1


async def test_what_may_be_done_twice_is_done_again_when_the_connection_breaks(
    teams: Teams, no_pauses: list[float]
) -> None:
    for call in (
        lambda: teams.outbox.update(teams.channel(), "1", HELLO),
        lambda: teams.outbox.team_group(teams.channel().service_url, CHANNEL),
        lambda: teams.outbox.open_direct(teams.service_url, TENANT, BOT, "29:carol"),
    ):
        teams.server.answers(Answer(breaks_off=True), told({"id": "1"}))
        await call()

    assert no_pauses


async def test_a_connection_that_was_never_made_is_tried_again(
    teams: Teams, no_pauses: list[float]
) -> None:
    nowhere = TeamsAddress("http://127.0.0.1:1/", CHANNEL, "", TENANT, BOT)

    with pytest.raises(aiohttp.ClientConnectorError) as failed:
        await teams.outbox.send(nowhere, HELLO)

    assert len(no_pauses) == 3
    assert isinstance(failed.value, TEAMS_FAILURES)
    assert what_failed(failed.value) == "ClientConnectorError"


async def test_a_token_that_is_refused_is_replaced_once(no_pauses: list[float]) -> None:
    async with a_teams(Tokens()) as teams:
        teams.server.answers(Answer(401, b""), told({"id": "1"}))

        assert await teams.outbox.send(teams.channel(), HELLO) == "1"

        assert [request.token for request in teams.server.requests] == ["token-1", "token-2"]


async def test_a_bot_that_is_refused_with_a_new_token_too_is_refused(
    teams: Teams, no_pauses: list[float]
) -> None:
    said = b'{"message": "Authorization has been denied for this request."}'
    teams.server.answers(refusal(429), refusal(429), refusal(429), Answer(401, said))

    with pytest.raises(TeamsFailure) as failed:
        await teams.outbox.send(teams.channel(), HELLO)

    assert failed.value.status == 401
    assert len(teams.server.requests) == 5


async def test_a_roster_is_read_to_its_last_page(teams: Teams) -> None:
    teams.server.answers(
        told({"members": [{"id": "29:a"}, {"id": "29:b"}], "continuationToken": "a+b/="}),
        told({"members": [], "continuationToken": "c"}),
        told({"members": [{"id": "29:c"}]}),
    )

    assert [member["id"] for member in await teams.roster()] == ["29:a", "29:b", "29:c"]

    assert teams.server.asked == [
        f"GET {CHANNEL_PATH}/pagedmembers?pageSize=500",
        f"GET {CHANNEL_PATH}/pagedmembers?pageSize=500&continuationToken=a%2Bb%2F%3D",
        f"GET {CHANNEL_PATH}/pagedmembers?pageSize=500&continuationToken=c",
    ]


@pytest.mark.parametrize(
    "last",
    [
        refusal(500, "ServiceError"),
        Answer(body=b""),
        Answer(body=b"<html>"),
        told({}),
        told({"members": None}),
        told({"members": [{"id": "29:b"}, "29:c"]}),
        told({"members": [], "continuationToken": "again"}),
    ],
)
async def test_a_roster_that_is_not_whole_is_none_at_all(teams: Teams, last: Answer) -> None:
    first = told({"members": [{"id": "29:a"}], "continuationToken": "again"})
    teams.server.answers(first, last)

    with pytest.raises(TeamsFailure):
        await teams.roster()


async def test_a_roster_without_anybody_is_none_at_all(teams: Teams) -> None:
    teams.server.answers(told({"members": []}))

    with pytest.raises(TeamsFailure):
        await teams.roster()


async def test_the_channels_of_a_team_are_listed(teams: Teams) -> None:
    listed = [{"id": "19:a", "name": None}, {"id": "19:b", "name": "plans", "type": "private"}]
    teams.server.answers(told({"conversations": listed}), told({}))

    assert await teams.outbox.channels(teams.service_url, CHANNEL) == listed
    with pytest.raises(TeamsFailure):
        await teams.outbox.channels(teams.service_url, CHANNEL)

    assert teams.server.asked[0] == "GET /apac/v3/teams/19%3Af0f0%40thread.tacv2/conversations"


async def test_one_conversation_going_too_fast_is_told_when_to_come_back() -> None:
    async with a_teams(patience_s=0.0) as teams:
        for _ in range(7):
            await teams.outbox.send(teams.channel(), HELLO)

        with pytest.raises(TeamsFailure, match="429 OwnPace") as failed:
            await teams.outbox.update(teams.channel("7"), "1", HELLO)
        elsewhere = TeamsAddress(teams.service_url, "a:1", "", TENANT, BOT)
        await teams.outbox.send(elsewhere, HELLO)

        assert 0 < (failed.value.retry_after_s or 0) <= 1
        assert len(teams.server.requests) == 8


@given(gaps=st.lists(st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0, 3.0, 40.0]), max_size=200))
def test_no_window_ever_holds_more_calls_than_teams_allows(gaps: list[float]) -> None:
    now = 0.0
    pace = Pace(SENDS, clock=lambda: now)
    turns = []
    for gap in gaps:
        now += gap
        turns.append(now + pace.take("here", patience_s=10_000.0))

    assert turns == sorted(turns)
    for calls, seconds in SENDS:
        for first, after in zip(turns, turns[calls:], strict=False):
            assert after - first >= seconds - 1e-6


def test_a_turn_that_nobody_waits_for_is_not_taken() -> None:
    now = 0.0
    pace = Pace([(1, 10.0)], clock=lambda: now)
    pace.take("here", patience_s=0)

    for _ in range(5):
        with pytest.raises(TooFast):
            pace.take("here", patience_s=5)
    now = 10.0

    assert pace.take("here", patience_s=0) == 0


def test_conversations_that_fell_silent_are_forgotten() -> None:
    now = 0.0
    pace = Pace([(1, 10.0)], clock=lambda: now)
    for number in range(5_000):
        now += 1.0
        pace.take(f"chat {number}", patience_s=0)

    assert len(pace._turns) < 600


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"error": {"code": "MessageSizeTooBig", "message": "big"}}', "MessageSizeTooBig", "big"),
        (b'{"code": "Bad Argument", "message": "no"}', "Bad Argument", "no"),
        (b'{"message": "Authorization has been denied."}', "", "Authorization has been denied."),
        (b'{"error": "invalid_client", "error_description": "d"}', "invalid_client", "d"),
        (b"upstream connect error", "", "upstream connect error"),
        (b'{"error": {"code": "<b>carol@qlm.test</b>", "message": null}}', "", ""),
        (b'{"error": {"code": 7}}', "", ""),
        (b'{"error": null}', "", ""),
        (b"[1]", "", ""),
        (b"{}", "", ""),
        (b"", "", ""),
        (b"\xff", "", "\ufffd"),
    ],
)
def test_a_refusal_is_read_whatever_its_shape(body: bytes, code: str, message: str) -> None:
    failure = TeamsFailure.of_response(400, {}, body)

    assert (failure.code, failure.message) == (code, message)
    assert what_failed(failure) == f"400 {code}".strip()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 2.5 ", 2.5),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 400, 3_600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_when_to_come_back_is_told_in_seconds_or_as_a_date(
    text: str, seconds: float | None
) -> None:
    assert retry_after_s({"retry-after": text}) == seconds


def test_an_address_is_had_from_what_is_known_of_a_place() -> None:
    place = Place("https://s/", TENANT, CHANNEL, "channel", BOT)

    assert TeamsAddress.of_place(place, "7").full_id == f"{CHANNEL};messageid=7"
