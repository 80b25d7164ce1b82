"""The double of Teams refuses what Teams refuses, and tells the app what Teams tells it."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from aiohttp import web

from tests.fakes.teams.activities import share_id
from tests.fakes.teams_api import Message, RemoteTeamsApi, TeamsApi

Json = dict[str, Any]
TENANT, OTHER = "tenant-1", "tenant-2"
GENERAL, LAB, CHAT = "19:general@thread.tacv2", "19:lab@thread.tacv2", "19:chat@thread.v2"


@dataclass
class Bot:
    """An app that says what it is told to say, and remembers what it heard."""

    api: TeamsApi
    http: aiohttp.ClientSession
    heard: list[Json] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    notified: list[Json] = field(default_factory=list)
    access: dict[str, str] = field(default_factory=dict)

    async def token(self, scope: str = "https://api.botframework.com/.default") -> str:
        if scope not in self.access:
            status, body = await self.login(scope=scope)
            assert status == 200, body
            self.access[scope] = body["access_token"]
        return self.access[scope]

    async def login(self, tenant: str = TENANT, **form: str) -> tuple[int, Json]:
        whole = {
            "grant_type": "client_credentials",
            "client_id": self.api.app_id,
            "client_secret": self.api.app_password,
            "scope": "https://api.botframework.com/.default",
        } | form
        url = f"{self.api.login_url}/{tenant}/oauth2/v2.0/token"
        async with self.http.post(url, data=whole) as response:
            return response.status, await response.json()

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {await self.token()}"}
        url = f"{self.api.service_url}v3/{path}"
        async with self.http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def send(self, conversation: str, body: Json, query: str = "") -> tuple[int, Any]:
        path = f"conversations/{quote(conversation, safe='')}/activities{query}"
        return await self.call("POST", path, {"type": "message"} | body)

    async def says(self, conversation: str, text: str, **more: Any) -> Message:
        status, body = await self.send(conversation, {"text": text} | more)
        assert status == 201, body
        message = self.api.teams.log.find(conversation.partition(";")[0], body["id"])
        assert message is not None
        return message

    async def stream(
        self, conversation: str, kind: str, text: str, *, pace: bool = True, **info: Any
    ) -> tuple[int, Any]:
        if pace:
            self.api.advance(1.5)
        is_final = kind == "final"
        entity = {"type": "streaminfo", "streamType": kind} | info
        body = {"type": "message" if is_final else "typing", "text": text, "entities": [entity]}
        return await self.send(conversation, body)

    async def graph(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        token = await self.token(f"{self.api.graph_url}/.default")
        whole = {"Authorization": f"Bearer {token}"} | headers
        url = path if path.startswith("http") else f"{self.api.graph_url}/v1.0/{path}"
        async with self.http.request(method, url, json=body, headers=whole) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if text and is_json else text


@asynccontextmanager
async def a_bot(api: TeamsApi) -> AsyncIterator[Bot]:
    async with aiohttp.ClientSession() as http:
        bot = Bot(api, http)

        async def take(request: web.Request) -> web.Response:
            bot.heard.append(await request.json())
            bot.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
            status, body = bot.answers.pop(0) if bot.answers else (202, None)
            return web.Response(status=status) if body is None else web.json_response(body)

        async def notified(request: web.Request) -> web.Response:
            if token := request.query.get("validationToken"):
                return web.Response(text=token)
            bot.notified.append(await request.json())
            return web.Response(status=202)

        app = web.Application()
        app.router.add_post("/messages", take)
        app.router.add_post("/notifications", notified)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}/messages"
        yield bot
        await runner.cleanup()


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        api.tenant(TENANT)
        api.user("ann", "Ann Lin", groups=["eng"])
        api.user("ben", "Ben Chen", groups=["eng"])
        api.user("gus", "Gus", guest=True)
        api.tenant(OTHER)
        api.user("xav", "Xaver", tenant=OTHER)
        api.user("zoe", "Zoe", anonymous=True)
        team = api.team(GENERAL, "team-group", "Company", ["ann", "ben"], visibility="Public")
        api.channel(LAB, team, "lab", "private", ["ann"])
        api.chat(CHAT, ["ann", "ben", "xav", "zoe"])
        api.personal("ann")
        yield api


@pytest.fixture
async def bot(api: TeamsApi) -> AsyncIterator[Bot]:
    async with a_bot(api) as bot:
        yield bot


def personal(api: TeamsApi, user: str = "ann") -> str:
    return api.personal(user).id


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, (body or {}).get("error", {}).get("code", "")


def a_card(*body: Json, **more: Any) -> Json:
    shown = list(body) or [{"type": "TextBlock", "text": "Hello", "wrap": True}]
    return {"type": "AdaptiveCard", "version": "1.5", "body": shown} | more


def attached(card: Json) -> list[Json]:
    return [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]


def an_ai_entity(*positions: int, **appearance: Any) -> Json:
    return {
        "type": "https://schema.org/Message",
        "@type": "Message",
        "@context": "https://schema.org",
        "@id": "",
        "additionalType": ["AIGeneratedContent"],
        "citation": [
            {
                "@type": "Claim",
                "position": position,
                "appearance": {"@type": "DigitalDocument", "name": "Plan", "abstract": "It says"}
                | appearance,
            }
            for position in positions
        ],
    }


# What people say


async def test_a_mention_in_a_channel_carries_thread_entities_and_a_signed_token(
    api: TeamsApi, bot: Bot
) -> None:
    said = await api.says("ann", GENERAL, "How <much>?")

    (heard,) = bot.heard
    assert heard["text"] == "<at>Shifu</at> How &lt;much&gt;?"
    assert heard["conversation"]["id"] == f"{GENERAL};messageid={said.id}"
    assert heard["conversation"]["tenantId"] == TENANT
    assert heard["from"]["aadObjectId"] == "ann"
    assert {"mention", "clientInfo", "ClientCapabilities"} == {e["type"] for e in heard["entities"]}
    claims = _claims(api, bot.tokens[0])
    assert (claims["aud"], claims["serviceurl"]) == (api.app_id, heard["serviceUrl"])
    assert api.text_of(said) == "Shifu How <much>?"


async def test_the_app_hears_in_groups_only_what_names_it(api: TeamsApi, bot: Bot) -> None:
    await api.says("ann", CHAT, "Lunch?", mention=False)
    await api.says("ann", "personal", "Lunch?")
    api.chat("19:all@thread.v2", ["ann"], hears_all=True)
    await api.says("ann", "19:all@thread.v2", "Dinner?", mention=False)

    assert [heard["text"] for heard in bot.heard] == ["Lunch?", "Dinner?"]
    assert len(api.messages(CHAT)) == 1


async def test_what_becomes_of_unheard_messages_is_not_told_either(api: TeamsApi, bot: Bot) -> None:
    said = await api.says("ann", CHAT, "Lunch?", mention=False)

    await api.edit(said, "Dinner?")
    await api.delete(said)

    assert not bot.heard


async def test_a_failed_delivery_comes_again_and_an_invoke_does_not(
    api: TeamsApi, bot: Bot
) -> None:
    bot.answers += [(503, None), (500, None)]

    await api.says("ann", "personal", "Hello")
    await api.settled()

    assert [a.status for a in api.deliveries[0].attempts] == [503, 500, 202]
    assert len({heard["id"] for heard in bot.heard}) == 1


async def test_a_delivery_is_not_repeated_when_the_app_refuses_it(api: TeamsApi, bot: Bot) -> None:
    bot.answers += [(401, None)]

    await api.says("ann", "personal", "Hello", token=api.token(aud="somebody else"))
    await api.settled()

    assert [a.status for a in api.deliveries[0].attempts] == [401]


async def test_who_has_no_object_id_is_sent_without(api: TeamsApi, bot: Bot) -> None:
    await api.says("zoe", CHAT, "Hello")

    assert "aadObjectId" not in bot.heard[0]["from"]


async def test_edits_deletions_and_reactions_are_told(api: TeamsApi, bot: Bot) -> None:
    said = await api.says("ann", "personal", "Hello")
    answer = await bot.says(personal(api), "Hi")

    await api.edit(said, "Hello there")
    await api.react("ann", answer)
    await api.delete(said)

    told = [(h["type"], h["channelData"].get("eventType")) for h in bot.heard[1:]]
    edited, deleted = ("messageUpdate", "editMessage"), ("messageDelete", "softDeleteMessage")
    assert told == [edited, ("messageReaction", None), deleted]
    assert api.messages("personal", user="ann") == [answer]


# What the app may do


async def test_without_a_token_of_the_bot_nothing_is_done(api: TeamsApi, bot: Bot) -> None:
    bot.access["https://api.botframework.com/.default"] = "forged"
    assert code(await bot.send(GENERAL, {"text": "Hi"})) == (401, "Unauthorized")

    bot.access.clear()
    await bot.says(GENERAL, "Hi")
    api.advance(4_000)
    assert code(await bot.send(GENERAL, {"text": "Hi"})) == (401, "Unauthorized")


async def test_the_login_refuses_wrong_secrets_apps_and_tenants(api: TeamsApi, bot: Bot) -> None:
    told = [
        await bot.login(client_secret="wrong"),
        await bot.login(client_id="other"),
        await bot.login("nowhere"),
        await bot.login(scope="User.Read"),
    ]

    assert [(status, body["error"]) for status, body in told] == [
        (401, "invalid_client"),
        (400, "unauthorized_client"),
        (400, "invalid_request"),
        (400, "invalid_scope"),
    ]
    assert [r.status for r in api.token_requests] == [401, 400, 400, 400]


async def test_places_without_the_app_and_unknown_things_are_refused(
    api: TeamsApi, bot: Bot
) -> None:
    api.chat("19:closed@thread.v2", ["ann"], with_app=False)
    mine = await bot.says(GENERAL, "Hi")
    theirs = await api.says("ann", GENERAL, "Hello")
    path = f"conversations/{quote(GENERAL, safe='')}/activities"

    assert code(await bot.send("19:closed@thread.v2", {"text": "Hi"})) == (
        403,
        "BotNotInConversationRoster",
    )
    assert code(await bot.send("19:none@thread.v2", {"text": "Hi"})) == (
        404,
        "ConversationNotFound",
    )
    assert code(await bot.send(f"{GENERAL};messageid=1", {"text": "Hi"}))[0] == 404
    assert code(await bot.call("PUT", f"{path}/1", {"type": "message", "text": "x"})) == (
        404,
        "ActivityNotFoundInConversation",
    )
    assert code(await bot.call("PUT", f"{path}/{theirs.id}", {"type": "message", "text": "x"})) == (
        403,
        "Forbidden",
    )
    assert (await bot.call("DELETE", f"{path}/{mine.id}"))[0] == 200
    assert code(await bot.call("DELETE", f"{path}/{mine.id}"))[0] == 404
    api.block("ann")
    assert code(await bot.send(personal(api), {"text": "Hi"})) == (403, "MessageWritesBlocked")


async def test_a_reply_goes_into_its_thread(api: TeamsApi, bot: Bot) -> None:
    asked = await api.says("ann", GENERAL, "How many?")
    other = await api.says("ben", GENERAL, "Something else")

    answer = await bot.says(f"{GENERAL};messageid={asked.id}", "Ten")
    path = f"conversations/{quote(GENERAL, safe='')}/activities/{asked.id}"
    await bot.call("POST", path, {"type": "message", "text": "Or eleven"})

    assert [api.text_of(m) for m in api.messages(GENERAL, asked)][1:] == ["Ten", "Or eleven"]
    assert answer.thread == asked.id
    assert api.messages(GENERAL, other) == [other]


async def test_rosters_come_in_pages_in_channels_and_whole_in_chats(
    api: TeamsApi, bot: Bot
) -> None:
    api.least_page = 1
    path = f"conversations/{quote(GENERAL, safe='')}/pagedmembers?pageSize=1"

    _, first = await bot.call("GET", path)
    _, second = await bot.call("GET", f"{path}&continuationToken={first['continuationToken']}")
    _, chat = await bot.call("GET", f"conversations/{quote(CHAT, safe='')}/pagedmembers?pageSize=1")

    assert [m["aadObjectId"] for m in first["members"] + second["members"]] == ["ann", "ben"]
    assert "continuationToken" not in second
    roles = [(m["userRole"], m.get("tenantId")) for m in chat["members"]]
    assert roles == [("user", TENANT)] * 2 + [("user", OTHER), ("anonymous", None)]


async def test_the_roster_of_a_private_channel_is_that_of_its_team(api: TeamsApi, bot: Bot) -> None:
    _, page = await bot.call("GET", f"conversations/{quote(LAB, safe='')}/pagedmembers")
    ben = api.teams.world.user("ben").mri
    found, _ = await bot.call("GET", f"conversations/{quote(CHAT, safe='')}/members/{ben}")
    missing = await bot.call("GET", f"conversations/{quote(CHAT, safe='')}/members/gus")

    assert len(page["members"]) == 2
    assert found == 200
    assert code(missing) == (404, "MemberNotFoundInConversation")


async def test_a_conversation_is_opened_only_with_those_who_have_the_app(
    api: TeamsApi, bot: Bot
) -> None:
    def wanted(user: str, tenant: str = TENANT) -> Json:
        member = {"id": api.teams.world.user(user).mri}
        return {"members": [member], "tenantId": tenant, "isGroup": False}

    status, opened = await bot.call("POST", "conversations", wanted("ann"))

    assert (status, opened["id"]) == (201, personal(api))
    assert code(await bot.call("POST", "conversations", wanted("ben"))) == (
        403,
        "BotNotInConversationRoster",
    )
    assert code(await bot.call("POST", "conversations", wanted("ann", OTHER)))[0] == 403
    assert code(await bot.call("POST", "conversations", {"members": []})) == (400, "BadSyntax")


async def test_a_targeted_message_is_seen_by_one_member_for_a_day(api: TeamsApi, bot: Bot) -> None:
    ann, gus = (api.teams.world.user(name).mri for name in ("ann", "gus"))
    query = "?isTargetedActivity=true"
    body = {"text": "Only you", "recipient": {"id": ann}}

    status, sent = await bot.send(CHAT, body, query)

    assert status == 201
    assert [m.text for m in api.visible_to("ann", CHAT)] == ["Only you"]
    assert not api.visible_to("ben", CHAT)
    path = f"conversations/{quote(CHAT, safe='')}/activities/{sent['id']}"
    changed = {"type": "message", "text": "Changed"}
    assert code(await bot.call("PUT", path, changed))[0] == 404
    assert (await bot.call("PUT", path + query, changed))[0] == 200
    assert code(await bot.send(CHAT, body | {"recipient": {"id": gus}}, query))[0] == 404
    assert code(await bot.send(CHAT, {"text": "x"}, query)) == (400, "BadArgument")
    assert code(await bot.send(personal(api), body, query)) == (400, "BadArgument")
    api.targeted(False)
    assert code(await bot.send(CHAT, body, query)) == (400, "BadArgument")
    api.targeted(True)
    api.advance(86_500)
    bot.access.clear()
    assert not api.visible_to("ann", CHAT)
    assert code(await bot.call("PUT", path + query, changed))[0] == 404


# Streaming


async def test_a_streamed_message_is_one_message(api: TeamsApi, bot: Bot) -> None:
    chat = personal(api)
    status, begun = await bot.stream(chat, "informative", "Searching", streamSequence=1)
    (message,) = api.messages(chat)
    assert (status, message.status, message.is_streaming) == (201, "Searching", True)
    id = begun["id"]

    first = await bot.stream(chat, "streaming", "Ten", streamSequence=2, streamId=id)
    second = await bot.stream(chat, "streaming", "Ten days", streamSequence=3, streamId=id)
    end = await bot.stream(chat, "final", "Ten days.", streamId=id)

    assert [first[0], second[0], end[0]] == [202, 202, 202]
    assert [m.text for m in api.messages(chat)] == ["Ten days."]
    assert not message.is_streaming
    again = await bot.stream(chat, "streaming", "Ten days. Or", streamSequence=4, streamId=id)
    assert "completed" in again[1]["error"]["message"]


async def test_a_stream_keeps_order_pace_and_what_was_shown(api: TeamsApi, bot: Bot) -> None:
    chat = personal(api)
    _, begun = await bot.stream(chat, "streaming", "Ten", streamSequence=1)
    next_step = {"streamSequence": 2, "streamId": begun["id"]}

    hasty = await bot.stream(chat, "streaming", "Ten days", pace=False, **next_step)
    late = await bot.stream(chat, "streaming", "Ten days", streamSequence=5, streamId=begun["id"])
    other = await bot.stream(chat, "streaming", "Nine", **next_step)
    second = await bot.stream(chat, "streaming", "Another", streamSequence=1)

    assert hasty[0] == 429
    assert code(late) == (202, "ContentStreamSequenceOrderPreConditionFailed")
    assert code(other) == (403, "ContentStreamNotAllowed")
    assert "previously streamed" in other[1]["error"]["message"]
    assert code(second) == (403, "ContentStreamNotAllowed")
    assert [m.text for m in api.messages(chat)] == ["Ten"]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("streaming", {}),
        ("streaming", {"streamSequence": 2}),
        ("final", {}),
        ("final", {"streamId": "1", "streamSequence": 3}),
        ("informative", {"streamSequence": 1, "text": "x" * 1_001}),
        ("streaming", {"streamSequence": 1, "text": ""}),
        ("finished", {"streamSequence": 1}),
    ],
)
async def test_a_misshapen_stream_is_refused(
    api: TeamsApi, bot: Bot, kind: str, more: dict[str, Any]
) -> None:
    text = more.pop("text", "Ten")

    status, _ = await bot.stream(personal(api), kind, text, **more)

    assert status == 400
    assert not api.messages("personal", user="ann")


async def test_streams_are_for_chats_of_one_person(api: TeamsApi, bot: Bot) -> None:
    for place in (GENERAL, CHAT):
        refused = await bot.stream(place, "streaming", "Ten", streamSequence=1)
        assert code(refused) == (403, "ContentStreamNotAllowed")


async def test_after_two_minutes_a_stream_is_over_and_its_message_is_updated(
    api: TeamsApi, bot: Bot
) -> None:
    chat = personal(api)
    _, begun = await bot.stream(chat, "streaming", "Ten", streamSequence=1)
    api.advance(121)

    refused = await bot.stream(chat, "final", "Ten days", streamId=begun["id"])
    path = f"conversations/{quote(chat, safe='')}/activities/{begun['id']}"
    status, _ = await bot.call("PUT", path, {"type": "message", "text": "Ten days"})

    assert "exceeded streaming time" in refused[1]["error"]["message"]
    assert status == 200
    assert [(m.text, m.is_streaming) for m in api.messages(chat)] == [("Ten days", False)]


async def test_a_stopped_stream_takes_nothing_more(api: TeamsApi, bot: Bot) -> None:
    chat = personal(api)
    _, begun = await bot.stream(chat, "streaming", "Ten", streamSequence=1)
    (message,) = api.messages(chat)

    await api.stop("ann", message)

    refused = await bot.stream(chat, "final", "Ten days", streamId=begun["id"])
    assert "canceled by user" in refused[1]["error"]["message"]


# What a message may hold


@pytest.mark.parametrize(
    "body",
    [
        {"text": ""},
        {"text": "x [1]", "entities": [an_ai_entity(1), an_ai_entity(1)]},
        {"text": "x", "entities": [an_ai_entity(1)]},
        {"text": "x [1]", "entities": [an_ai_entity(1, abstract="")]},
        {"text": "x [1]", "entities": [an_ai_entity(1, name="x" * 81)]},
        {"text": "x [1]", "entities": [an_ai_entity(1, abstract="x" * 161)]},
        {"text": "x [1]", "entities": [an_ai_entity(1, keywords=["x" * 29])]},
        {"text": " ".join(f"[{n}]" for n in range(30)), "entities": [an_ai_entity(*range(21))]},
        {"text": "x", "attachments": attached(a_card(version="1.6"))},
        {"text": "x", "attachments": attached(a_card({"type": "Chart"}))},
        {"text": "x", "attachments": attached(a_card({"type": "TextBlock"}))},
        {"text": "x", "attachments": [{"contentType": "text/html", "content": "x"}]},
        {"text": "x", "suggestedActions": {"actions": [{"type": "imBack"}]}},
        {"text": "x", "channelData": {"feedbackLoop": {"type": "loud"}}},
        {"text": "<at>Gus</at>", "entities": [{"type": "mention", "text": "<at>Gus</at>"}]},
        {
            "text": "x",
            "attachments": attached(
                a_card(
                    refresh={
                        "action": {"type": "Action.Execute", "verb": "v"},
                        "userIds": [f"29:{n}" for n in range(61)],
                    }
                )
            ),
        },
    ],
)
async def test_a_misshapen_message_is_refused(api: TeamsApi, bot: Bot, body: Json) -> None:
    status, _ = await bot.send(GENERAL, body)

    assert status == 400
    assert not api.messages(GENERAL)


async def test_what_is_too_large_is_refused(api: TeamsApi, bot: Bot) -> None:
    long = a_card({"type": "TextBlock", "text": "x" * 29_000})

    assert code(await bot.send(GENERAL, {"text": "x" * 52_000})) == (413, "MessageSizeTooBig")
    assert (await bot.send(GENERAL, {"text": "x", "attachments": attached(long)}))[0] == 413
    assert (await bot.send(GENERAL, {"text": "x" * 50_000}))[0] == 201


async def test_a_labelled_message_with_citations_and_card_is_read_as_people_read_it(
    api: TeamsApi, bot: Bot
) -> None:
    table = {
        "type": "Table",
        "columns": [{"width": 1}, {"width": 1}],
        "rows": [
            {
                "type": "TableRow",
                "cells": [
                    {"type": "TableCell", "items": [{"type": "TextBlock", "text": text}]}
                    for text in ("Days", "10 [1]")
                ],
            }
        ],
    }
    said = await bot.says(
        GENERAL,
        "",
        attachments=attached(a_card(table)),
        entities=[an_ai_entity(1)],
        channelData={"feedbackLoop": {"type": "custom"}},
    )

    assert api.text_of(said) == "Days | 10 [1]"
    assert [c["position"] for c in said.citations] == [1]


@pytest.mark.parametrize("text", ["See below", ""])
async def test_of_a_text_with_a_card_or_of_two_cards_teams_makes_two_messages(
    api: TeamsApi, bot: Bot, text: str
) -> None:
    cards = attached(a_card()) * (1 if text else 2)

    status, body = await bot.send(GENERAL, {"text": text, "attachments": cards})

    assert (status, body) == (202, None)
    assert [len(m.cards) for m in api.from_app(GENERAL)] == [0 if text else 1, 1]


async def test_no_message_is_changed_into_two(api: TeamsApi, bot: Bot) -> None:
    said = await bot.says(GENERAL, "Searching…")
    path = f"conversations/{quote(GENERAL, safe='')}/activities/{said.id}"
    both = {"type": "message", "text": "See below", "attachments": attached(a_card())}

    refused = await bot.call("PUT", path, both)
    taken = await bot.call("PUT", path, {**both, "text": ""})

    assert code(refused) == (400, "BadSyntax")
    assert (taken[0], api.text_of(said)) == (200, "Hello")


async def test_a_stream_that_ends_in_a_text_with_a_card_leaves_two_messages(
    api: TeamsApi, bot: Bot
) -> None:
    chat = personal(api)
    _, begun = await bot.stream(chat, "informative", "Searching…", streamSequence=1)
    api.advance(1.5)
    end = {"type": "streaminfo", "streamType": "final", "streamId": begun["id"]}

    status, _ = await bot.send(
        chat, {"text": "See below", "attachments": attached(a_card()), "entities": [end]}
    )

    assert status == 202
    assert [api.text_of(m) for m in api.from_app("personal", user="ann")] == ["See below", "Hello"]


async def test_suggested_actions_are_for_chats_of_one_person(api: TeamsApi, bot: Bot) -> None:
    action = {"type": "imBack", "title": "More", "value": "More"}

    assert (await bot.send(GENERAL, {"text": "x", "suggestedActions": {"actions": [action]}}))[
        0
    ] == 400
    many = {"text": "x", "suggestedActions": {"actions": [action] * 7}}
    assert (await bot.send(personal(api), many))[0] == 400
    await bot.says(personal(api), "x", suggestedActions={"actions": [action]})


# Buttons, dialogs and ratings


async def test_a_refreshed_card_is_seen_by_those_it_names_alone(api: TeamsApi, bot: Bot) -> None:
    ann = api.teams.world.user("ann").mri
    refresh = {"action": {"type": "Action.Execute", "verb": "own", "data": {"n": 1}}}
    card = a_card(refresh=refresh | {"userIds": [ann]})
    message = await bot.says(GENERAL, "", attachments=attached(card))
    own = a_card({"type": "TextBlock", "text": "For Ann"})
    kind = "application/vnd.microsoft.card.adaptive"
    bot.answers.append((200, {"statusCode": 200, "type": kind, "value": own}))

    await api.opens("ann", GENERAL)
    await api.opens("ben", GENERAL)

    (heard,) = bot.heard
    assert (heard["name"], heard["value"]["trigger"]) == ("adaptiveCard/action", "automatic")
    assert heard["value"]["action"]["data"] == {"n": 1}
    assert "For Ann" in api.text_of(message, seen_by="ann")
    assert "For Ann" not in api.text_of(message, seen_by="ben")
    assert "For Ann" not in api.everything_seen_by("ben")


async def test_a_button_is_told_with_its_data_and_inputs(api: TeamsApi, bot: Bot) -> None:
    action = {"type": "Action.Execute", "verb": "why", "title": "Why", "data": {"answer": "a1"}}
    message = await bot.says(GENERAL, "", attachments=attached(a_card(actions=[action])))
    told = {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Ok"}
    bot.answers.append((200, told))

    answer = await api.press("ben", message, "why", {"note": "n"})

    assert answer == told
    (heard,) = bot.heard
    assert heard["value"]["action"]["data"] == {"answer": "a1", "note": "n"}
    assert heard["replyToId"] == message.id
    assert heard["conversation"]["id"] == f"{GENERAL};messageid={message.id}"


async def test_a_dialog_is_fetched_filled_in_and_submitted(api: TeamsApi, bot: Bot) -> None:
    opening: Json = {"type": "Action.Submit", "title": "Sources"}
    opening["data"] = {"msteams": {"type": "task/fetch"}, "verb": "sources"}
    message = await bot.says(GENERAL, "", attachments=attached(a_card(actions=[opening])))
    form = a_card(actions=[{"type": "Action.Submit", "title": "Share", "data": {"verb": "share"}}])
    shown = {"title": "Sources", "card": attached(form)[0]}
    bot.answers.append((200, {"task": {"type": "continue", "value": shown}}))
    bot.answers.append((200, {"task": {"type": "message", "value": "Shared"}}))

    dialog = await api.fetch_dialog("ann", message, {"verb": "sources"})
    after = await api.submit_dialog(dialog, {"note": "n"})

    assert (dialog.is_open, after.told) == (True, "Shared")
    assert [h["name"] for h in bot.heard] == ["task/fetch", "task/submit"]
    assert bot.heard[1]["value"]["data"] == {"verb": "share", "note": "n"}


async def test_a_rating_asks_for_the_apps_own_form_where_it_has_one(
    api: TeamsApi, bot: Bot
) -> None:
    message = await bot.says(GENERAL, "x", channelData={"feedbackLoop": {"type": "custom"}})
    form = a_card(actions=[{"type": "Action.Submit", "title": "Send"}])
    shown = {"title": "Why", "card": attached(form)[0]}
    bot.answers += [(200, {"task": {"type": "continue", "value": shown}}), (200, {})]

    await api.feedback("ann", message, "dislike", data={"reasons": "wrong"})

    fetched, submitted = bot.heard
    assert fetched["value"]["data"]["actionValue"] == {"reaction": "dislike"}
    told = submitted["value"]["actionValue"]
    assert (told["reaction"], json.loads(told["feedback"])) == ("dislike", {"reasons": "wrong"})
    assert submitted["replyToId"] == message.id


async def test_a_message_extension_tells_what_the_client_claims(api: TeamsApi, bot: Bot) -> None:
    message = await api.says("ben", CHAT, "The code is 42", mention=False)
    form = a_card(actions=[{"type": "Action.Submit", "title": "Save"}])
    shown = {"title": "Save", "card": attached(form)[0]}
    bot.answers += [(200, {"task": {"type": "continue", "value": shown}}), (200, {})]

    dialog = await api.fetch_task("ann", message, "capture", claim={"id": "forged"})
    await api.submit_task(dialog, {"title": "Code"})

    fetched, submitted = bot.heard
    assert fetched["name"] == "composeExtension/fetchTask"
    payload = fetched["value"]["messagePayload"]
    assert payload["from"]["user"]["id"] == "ben"
    assert (payload["id"], fetched["value"]["commandId"]) == ("forged", "capture")
    assert submitted["value"]["data"] == {"title": "Code"}


# What changes


async def test_changes_of_members_are_told_unless_the_activity_is_lost(
    api: TeamsApi, bot: Bot
) -> None:
    await api.join("gus", GENERAL)
    await api.join("ben", LAB)
    await api.leave("ben", CHAT)
    await api.join("ben", CHAT, tell=False)
    await api.rename(LAB, "laboratory")
    await api.delete_channel(LAB)

    told = [h["channelData"].get("eventType") for h in bot.heard]
    changes = ["teamMemberAdded", "channelMemberAdded", None, "channelRenamed", "channelDeleted"]
    assert told == changes
    assert bot.heard[0]["membersAdded"][0]["aadObjectId"] == "gus"
    assert bot.heard[2]["membersRemoved"][0]["aadObjectId"] == "ben"
    assert bot.heard[0]["channelData"]["team"]["aadGroupId"] == "team-group"


async def test_installing_is_told_and_needed(api: TeamsApi, bot: Bot) -> None:
    await api.install("ben")
    assert [h["type"] for h in bot.heard] == ["installationUpdate", "conversationUpdate"]
    await bot.says(bot.heard[0]["conversation"]["id"], "Welcome")

    await api.uninstall("ben")

    refused = await bot.send(bot.heard[0]["conversation"]["id"], {"text": "Still there?"})
    assert code(refused) == (403, "BotNotInConversationRoster")


# Graph


async def test_graph_tells_people_of_the_own_tenant_with_what_is_selected(
    api: TeamsApi, bot: Bot
) -> None:
    await api.disable("ben")

    _, plain = await bot.graph("GET", "users/ann")
    _, chosen = await bot.graph("GET", "users/ben?$select=id,userType,accountEnabled")
    stranger = await bot.graph("GET", "users/xav")

    assert "userType" not in plain
    assert chosen == {"id": "ben", "userType": "Member", "accountEnabled": False}
    assert code(stranger) == (404, "Request_ResourceNotFound")


async def test_groups_are_transitive_and_too_many_are_refused(api: TeamsApi, bot: Bot) -> None:
    api.group("all", "Everybody", ["eng"])
    asked = {"securityEnabledOnly": False}
    _, groups = await bot.graph("POST", "users/ann/getMemberGroups", asked)
    for number in range(11_000):
        api.group(f"g{number}", members=["ann"])

    refused = await bot.graph("POST", "users/ann/getMemberGroups", asked)
    path = "users/ann/transitiveMemberOf/microsoft.graph.group?$select=id&$top=999"
    uncounted = await bot.graph("GET", path)
    found: list[Json] = []
    while path:
        _, page = await bot.graph("GET", path, ConsistencyLevel="eventual")
        found += page["value"]
        path = page.get("@odata.nextLink", "")

    assert set(groups["value"]) == {"eng", "all", "team-group"}
    assert code(refused) == (400, "Directory_ResultSizeLimitExceeded")
    assert code(uncounted)[0] == 400
    assert len(found) == 11_003


async def test_a_team_and_its_group_tell_who_may_join(api: TeamsApi, bot: Bot) -> None:
    _, team = await bot.graph("GET", "teams/team-group?$select=visibility")
    await api.open_team(GENERAL, visibility="Private")
    _, group = await bot.graph("GET", "groups/team-group?$select=visibility")

    assert (team["visibility"], group["visibility"]) == ("public", "Private")


async def test_a_missing_permission_is_refused_and_hides_hidden_groups(
    api: TeamsApi, bot: Bot
) -> None:
    api.group("secret", members=["ann"], hidden=True)
    asked = {"securityEnabledOnly": False}
    api.forbid("Member.Read.Hidden")
    _, groups = await bot.graph("POST", "users/ann/getMemberGroups", asked)
    api.forbid("User.Read.All")

    assert set(groups["value"]) == {"eng", "team-group"}
    assert code(await bot.graph("GET", "users/ann")) == (403, "Authorization_RequestDenied")
    api.permit("User.Read.All")
    assert (await bot.graph("GET", "users/ann"))[0] == 200


async def test_graph_knows_who_is_in_a_private_and_a_shared_channel(
    api: TeamsApi, bot: Bot
) -> None:
    shared = api.channel("19:sh@thread.tacv2", GENERAL, "sh", "shared", ["ann", "xav"])
    base = "teams/team-group/channels"

    _, private = await bot.graph("GET", f"{base}/{quote(LAB)}/allMembers")
    _, first = await bot.graph("GET", f"{base}/{quote(shared.id)}/allMembers?$top=1")
    _, second = await bot.graph("GET", first["@odata.nextLink"])
    _, channel = await bot.graph("GET", f"{base}/{quote(shared.id)}")
    question = "doesUserHaveAccess(userId='xav',tenantId='tenant-2',userPrincipalName='x')"
    _, access = await bot.graph("GET", f"{base}/{quote(shared.id)}/{question}")

    assert [m["userId"] for m in private["value"]] == ["ann"]
    members = [(m["userId"], m["tenantId"]) for m in first["value"] + second["value"]]
    assert members == [("ann", TENANT), ("xav", OTHER)]
    assert channel["membershipType"] == "shared"
    assert access["value"] is True


async def test_graph_reads_messages_where_it_may_and_no_targeted_ones(
    api: TeamsApi, bot: Bot
) -> None:
    api.file("f1", "plan.md", b"# Plan")
    asked = await api.says("ann", GENERAL, "See the plan", files=["f1"])
    await bot.says(f"{GENERAL};messageid={asked.id}", "I have seen it")
    whispered = await api.says("ben", GENERAL, "/ask", reply_to=asked, targeted=True)
    base = f"teams/team-group/channels/{quote(GENERAL)}/messages/{asked.id}"

    _, root = await bot.graph("GET", base)
    _, replies = await bot.graph("GET", f"{base}/replies")

    assert root["from"]["user"]["id"] == "ann"
    assert root["mentions"][0]["mentioned"]["application"]["id"] == api.app_id
    assert "application" in replies["value"][0]["from"]
    assert len(replies["value"]) == 1
    assert (await bot.graph("GET", f"{base}/replies/{whispered.id}"))[0] == 404
    api.forbid("ChannelMessage.Read.All")
    assert (await bot.graph("GET", base))[0] == 403
    api.permit("ChannelMessage.Read.Group", of=GENERAL)
    assert (await bot.graph("GET", base))[0] == 200


async def test_a_file_in_a_channel_is_fetched_through_its_shared_address(
    api: TeamsApi, bot: Bot
) -> None:
    api.file("f1", "plan.md", b"# Plan")
    asked = await api.says("ann", GENERAL, "See the plan", files=["f1"])
    assert '<attachment id="f1">' in bot.heard[0]["attachments"][-1]["content"]
    message = f"teams/team-group/channels/{quote(GENERAL)}/messages/{asked.id}"
    _, told = await bot.graph("GET", message)
    share = share_id(told["attachments"][0]["contentUrl"])
    _, item = await bot.graph("GET", f"shares/{share}/driveItem")
    token = await bot.token(f"{api.graph_url}/.default")
    url = f"{api.graph_url}/v1.0/shares/{share}/driveItem/content"
    headers = {"Authorization": f"Bearer {token}"}
    async with bot.http.get(url, headers=headers, allow_redirects=False) as response:
        location = response.headers["Location"]
    async with bot.http.get(location) as response:
        content = await response.read()
    async with bot.http.get(location, headers=headers) as response:
        with_token = response.status
    drive = f"drives/{item['parentReference']['driveId']}"
    _, permissions = await bot.graph("GET", f"{drive}/items/{item['id']}/permissions")
    _, of_library = await bot.graph("GET", f"{drive}/root/permissions")

    assert (item["name"], content) == ("plan.md", b"# Plan")
    assert with_token == 401
    assert permissions == of_library


async def test_a_file_in_a_personal_chat_comes_with_an_address_that_ends(
    api: TeamsApi, bot: Bot
) -> None:
    api.file("f1", "plan.md", b"# Plan")
    await api.says("ann", "personal", "See the plan", files=["f1"])
    attachment = bot.heard[0]["attachments"][0]
    url = attachment["content"]["downloadUrl"]

    async with bot.http.get(url) as response:
        assert await response.read() == b"# Plan"
    api.advance(4_000)
    async with bot.http.get(url) as response:
        assert response.status == 401


async def test_a_batch_answers_each_part_and_takes_twenty(api: TeamsApi, bot: Bot) -> None:
    parts = [
        {"id": "1", "method": "GET", "url": "/users/ann?$select=id"},
        {"id": "2", "method": "GET", "url": "/users/nobody"},
        {
            "id": "3",
            "method": "POST",
            "url": "/users/ann/getMemberGroups",
            "body": {"securityEnabledOnly": False},
            "headers": {"Content-Type": "application/json"},
        },
    ]
    api.fail("graph:/users/{id}", status=429, retry_after_s=7)

    status, body = await bot.graph("POST", "$batch", {"requests": parts})
    many = [{"id": str(n), "method": "GET", "url": "/users/ann"} for n in range(21)]
    refused = await bot.graph("POST", "$batch", {"requests": many})

    by_id = {part["id"]: part for part in body["responses"]}
    assert status == 200
    assert (by_id["1"]["status"], by_id["1"]["headers"]["Retry-After"]) == (429, "7")
    assert by_id["2"]["status"] == 404
    assert set(by_id["3"]["body"]["value"]) == {"eng", "team-group"}
    assert code(refused)[0] == 400


async def test_subscriptions_shake_hands_and_tell_of_changes(api: TeamsApi, bot: Bot) -> None:
    assert api.bot_url is not None
    url = api.bot_url.replace("/messages", "/notifications")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    wanted = {
        "changeType": "updated,deleted",
        "notificationUrl": url,
        "resource": "users",
        "expirationDateTime": later,
        "clientState": "secret",
    }

    status, created = await bot.graph("POST", "subscriptions", wanted)
    elsewhere = await bot.graph(
        "POST", "subscriptions", wanted | {"notificationUrl": f"{url}/nowhere"}
    )
    await api.disable("ben")
    await api.settled()

    assert status == 201
    assert code(elsewhere) == (400, "ValidationError")
    (told,) = bot.notified[0]["value"]
    assert (told["clientState"], told["resource"]) == ("secret", "users/ben")
    api.advance(4_000)
    bot.access.clear()
    path = f"subscriptions/{created['id']}"
    assert (await bot.graph("PATCH", path, {"expirationDateTime": later}))[0] == 404


# What goes wrong


async def test_faults_limits_and_outages_come_as_asked(api: TeamsApi, bot: Bot) -> None:
    api.fail("send", status=502, raw="<html>", after=1)
    statuses = [(await bot.call("GET", f"teams/{quote(GENERAL, safe='')}"))[0]]
    for _ in range(2):
        token = await bot.token()
        url = f"{api.service_url}v3/conversations/{quote(GENERAL, safe='')}/activities"
        async with bot.http.post(
            url,
            json={"type": "message", "text": "x"},
            headers={"Authorization": f"Bearer {token}"},
        ) as response:
            statuses.append(response.status)
    assert statuses == [200, 201, 502]

    api.rate_limit("send", (1, 60.0))
    assert (await bot.send(GENERAL, {"text": "x"}))[0] == 201
    assert (await bot.send(GENERAL, {"text": "x"}))[0] == 429
    assert (await bot.send(CHAT, {"text": "x"}))[0] == 201
    api.heal()

    await api.down("graph")
    async with bot.http.get(f"{api.graph_url}/v1.0/users/ann") as response:
        assert response.status == 503
    assert (await bot.send(GENERAL, {"text": "x"}))[0] == 201
    await api.up()
    await api.down(refuses_connections=True)
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as fresh, fresh.get(api.keys_url):
            pass
    await api.up()
    assert (await bot.send(GENERAL, {"text": "x"}))[0] == 201


async def test_an_answer_can_be_lost_after_the_message_was_posted(api: TeamsApi, bot: Bot) -> None:
    await bot.token()
    api.fail("send", drops_answer=True)

    with pytest.raises(aiohttp.ClientError):
        await bot.send(GENERAL, {"text": "x"})

    assert len(api.messages(GENERAL)) == 1


async def test_rolled_keys_sign_what_comes_next(api: TeamsApi, bot: Bot) -> None:
    await api.says("ann", "personal", "one")
    api.roll_keys(keep_old=False)
    await api.says("ann", "personal", "two")

    kids = [jwt.get_unverified_header(token)["kid"] for token in bot.tokens]
    async with bot.http.get(api.keys_url) as response:
        published = [key["kid"] for key in (await response.json())["keys"]]
    assert kids[0] != kids[1]
    assert published == [kids[1]]


async def test_a_double_in_another_process_is_driven_from_here() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.teams_api", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        remote = RemoteTeamsApi((await process.stdout.readline()).decode().strip())
        await remote.call("tenant", TENANT)
        await remote.call("user", "ann", "Ann Lin")
        said = await remote.call("says", "ann", "personal", "Hello")

        assert await remote.call("text_of", said) == "Hello"
    finally:
        process.terminate()
        await process.wait()


def _claims(api: TeamsApi, token: str) -> Json:
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(k for k in api.teams.keys.jwks()["keys"] if k["kid"] == kid)
    claims: Json = jwt.decode(
        token, jwt.PyJWK(key, algorithm="RS256").key, ["RS256"], audience=api.app_id
    )
    assert claims["exp"] > time.time()
    return claims
