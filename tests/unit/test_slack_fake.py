"""The double of Slack, as the real SDK and the real Bolt meet it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.fakes.slack_api import RemoteSlackApi, SlackApi

Json = dict[str, Any]


@pytest.fixture
async def api() -> AsyncIterator[SlackApi]:
    async with SlackApi(ack_timeout_s=1.0, retry_factor=0.0001) as api:
        api.workspace("T1")
        api.user("U1", "Ann Chen", email="ann@acme.example")
        api.user("U2", "Bo Lin")
        api.channel("C1", "general", members=["U1", "U2"])
        api.channel("C2", "secret", "private", members=["U1"])
        api.install()
        yield api


@pytest.fixture
def client(api: SlackApi) -> AsyncWebClient:
    return AsyncWebClient(token="xoxb-T1", base_url=api.url)


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as raised:
        await call
    return str(raised.value.response["error"])


class App:
    """A Bolt app that keeps what it hears."""

    def __init__(self, api: SlackApi) -> None:
        client = AsyncWebClient(token="xoxb-T1", base_url=api.url)
        self.bolt = AsyncApp(client=client, signing_secret=api.signing_secret)
        self.heard: list[Json] = []
        self.retries: list[str] = []
        self.answers = True
        for name in ("app_mention", "message", "app_home_opened", "agent_session_stopped"):
            self.bolt.event(name)(self._hear)
        self.bolt.event("member_joined_channel")(self._hear)
        self.bolt.command("/ask")(self._ask)
        self.bolt.action("press")(self._pressed)
        self.bolt.action("answer_feedback")(self._pressed)
        self.bolt.shortcut("capture")(self._open)
        self.bolt.view("form")(self._submitted)

    async def _hear(self, event: Json) -> None:
        self.heard.append(event)

    async def _ask(self, ack: AsyncAck, body: Json, respond: AsyncRespond) -> None:
        await ack("one moment")
        await respond(f"about {body['text']}")

    async def _pressed(self, ack: AsyncAck, body: Json, respond: AsyncRespond) -> None:
        await ack()
        self.heard.append(body)
        await respond("changed", replace_original=True)

    async def _open(self, ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=a_modal())

    async def _submitted(self, ack: AsyncAck, view: Json) -> None:
        value = view["state"]["values"]["note"]["text"]["value"]
        if value == "bad":
            await ack(response_action="errors", errors={"note": "Say more."})
        else:
            self.heard.append(view)
            await ack()

    async def handle(self, request: web.Request) -> web.Response:
        if number := request.headers.get("X-Slack-Retry-Num"):
            self.retries.append(f"{number} {request.headers['X-Slack-Retry-Reason']}")
        if not self.answers:
            return web.Response(status=500)
        answer = await self.bolt.async_dispatch(await to_bolt_request(request))
        return await to_aiohttp_response(answer)

    @asynccontextmanager
    async def by_http(self, api: SlackApi) -> AsyncIterator["App"]:
        server = web.Application()
        server.router.add_post("/slack/events", self.handle)
        runner = web.AppRunner(server)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        yield self
        await runner.cleanup()

    @asynccontextmanager
    async def by_socket(self, api: SlackApi) -> AsyncIterator["App"]:
        handler = AsyncSocketModeHandler(self.bolt, api.app_token, ping_interval=0.1)
        await handler.connect_async()  # type: ignore[no-untyped-call]
        await api.connected()
        yield self
        await handler.close_async()  # type: ignore[no-untyped-call]


def a_modal(**more: Any) -> Json:
    field = {"type": "plain_text_input", "action_id": "text"}
    label = {"type": "plain_text", "text": "Note"}
    return {
        "type": "modal",
        "callback_id": "form",
        "title": {"type": "plain_text", "text": "Save"},
        "submit": {"type": "plain_text", "text": "Save"},
        "blocks": [{"type": "input", "block_id": "note", "label": label, "element": field}],
        **more,
    }


def a_button(action_id: str = "press", text: str = "Press") -> Json:
    label = {"type": "plain_text", "text": text}
    button = {"type": "button", "action_id": action_id, "text": label, "value": "v1"}
    return {"type": "actions", "elements": [button]}


def a_section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def markdown(text: str) -> Json:
    return {"type": "markdown", "text": text}


class TestWebApi:
    async def test_a_post_is_what_readers_see(self, api: SlackApi, client: AsyncWebClient) -> None:
        answer = await client.chat_postMessage(channel="C1", text="hello &lt;you&gt; <@U2>")

        (shown,) = api.messages("C1")
        assert (shown.ts, api.text_of(shown)) == (answer["ts"], "hello <you> @Bo Lin")
        assert api.notified_by(shown) == {"U2"}

    async def test_an_update_keeps_what_was_there_before_for_the_test_to_see(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        ts = (await client.chat_postMessage(channel="C1", text="draft"))["ts"]

        await client.chat_update(channel="C1", ts=ts, text="final", blocks=[markdown("**final**")])

        (shown,) = api.messages("C1")
        assert api.text_of(shown) == "final"
        assert [text for text, _ in shown.versions] == ["draft", "final"]

    async def test_an_update_of_the_text_alone_leaves_the_blocks_on_screen(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        posted = await client.chat_postMessage(channel="C1", text="a", blocks=[markdown("first")])

        await client.chat_update(channel="C1", ts=posted["ts"], text="second")
        (shown,) = api.messages("C1")
        assert api.text_of(shown) == "first"
        await client.chat_update(channel="C1", ts=posted["ts"], text="second", blocks=[])

        assert api.text_of(shown) == "second"

    async def test_an_ephemeral_message_is_for_one_member_and_cannot_be_updated(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        posted = await client.chat_postEphemeral(channel="C1", user="U1", text="psst")

        assert [m.text for m in api.visible_to("U1", "C1")] == ["psst"]
        assert api.visible_to("U2", "C1") == []
        update = client.chat_update(channel="C1", ts=posted["message_ts"], text="x")
        assert await refused(update) == "message_not_found"
        post = client.chat_postEphemeral(channel="C2", user="U2", text="x")
        assert await refused(post) == "user_not_in_channel"

    async def test_an_ephemeral_message_shows_only_in_a_thread_with_replies(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        root = await api.message("U1", "C1", "question")
        whisper: Json = {"channel": "C1", "user": "U1", "thread_ts": root.ts}

        await client.chat_postEphemeral(**whisper, text="lost")
        await client.chat_postMessage(channel="C1", thread_ts=root.ts, text="answer")
        await client.chat_postEphemeral(**whisper, text="seen")

        assert [m.text for m in api.visible_to("U1", "C1")] == ["question", "answer", "seen"]

    async def test_what_it_does_not_know_or_allow_it_names(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.channel("C3", "others", members=["U2"], with_app=False)
        api.channel("C4", "hidden", "private", members=["U2"], with_app=False)

        assert await refused(client.api_call("chat.nothing")) == "unknown_method"
        assert await refused(client.chat_postMessage(channel="C1")) == "no_text"
        assert await refused(client.chat_postMessage(channel="C9", text="x")) == "channel_not_found"
        assert await refused(client.chat_postMessage(channel="C4", text="x")) == "channel_not_found"
        assert await refused(client.chat_postMessage(channel="C3", text="x")) == "not_in_channel"
        reply = client.chat_postMessage(channel="C1", text="x", thread_ts="1.000001")
        assert await refused(reply) == "thread_not_found"
        said = await api.message("U1", "C1", "mine")
        update = client.chat_update(channel="C1", ts=said.ts, text="x")
        assert await refused(update) == "cant_update_message"
        await api.archive("C1", event=False)
        assert await refused(client.chat_postMessage(channel="C1", text="x")) == "is_archived"

    async def test_tokens_and_scopes_are_checked(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        nobody = AsyncWebClient(base_url=api.url)
        stranger = AsyncWebClient(token="xoxb-other", base_url=api.url)

        assert await refused(nobody.auth_test()) == "not_authed"
        assert await refused(stranger.auth_test()) == "invalid_auth"
        assert await refused(client.apps_connections_open(app_token="xoxb-T1")) == (
            "not_allowed_token_type"
        )
        api.revoke_scope("users:read")
        with pytest.raises(SlackApiError) as raised:
            await client.users_info(user="U1")
        assert raised.value.response["needed"] == "users:read"

    async def test_lists_come_in_pages(self, api: SlackApi, client: AsyncWebClient) -> None:
        api.channel("C5", "big", members=[f"U{n}" for n in range(250)])

        first = await client.conversations_members(channel="C5")
        cursor = first["response_metadata"]["next_cursor"]
        rest = await client.conversations_members(channel="C5", cursor=cursor, limit=1000)

        assert (len(first["members"]), len(rest["members"])) == (100, 151)
        assert rest["response_metadata"]["next_cursor"] == ""

    async def test_arguments_in_json_are_not_seen_by_methods_that_take_forms(
        self, client: AsyncWebClient
    ) -> None:
        call = client.api_call("users.info", json={"user": "U1"})

        assert await refused(call) == "invalid_arguments"

    async def test_people_are_shown_with_what_the_scopes_allow(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.user("U3", "Gus", guest=True)
        api.user("U4", "Sam", team="T9", stranger=True, email="sam@other.example")
        api.channel("C6", "shared", members=["U1", "U4"], ext_shared=["T9"])

        guest = (await client.users_info(user="U3"))["user"]
        stranger = (await client.users_info(user="U4"))["user"]
        room = (await client.conversations_info(channel="C6"))["channel"]

        assert (guest["is_restricted"], guest["is_ultra_restricted"]) == (True, False)
        assert (stranger["is_stranger"], stranger["team_id"]) == (True, "T9")
        assert "email" not in stranger["profile"]
        assert (room["is_ext_shared"], room["connected_team_ids"]) == (True, ["T9"])
        assert (await client.users_lookupByEmail(email="ANN@acme.example"))["user"]["id"] == "U1"

    async def test_groups_come_with_their_members(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.usergroup("S1", "eng", ["U1", "U2"])

        (group,) = (await client.usergroups_list(include_users=True))["usergroups"]

        assert (group["id"], group["handle"], group["users"]) == ("S1", "eng", ["U1", "U2"])

    async def test_an_org_wide_token_has_to_name_a_workspace(self, api: SlackApi) -> None:
        for team in ("T7", "T8"):
            api.workspace(team, enterprise="E1")
            api.user(f"U{team}", team=team)
        api.install("E1", is_enterprise_install=True)
        client = AsyncWebClient(token="xoxb-E1", base_url=api.url)

        assert await refused(client.users_list()) == "missing_argument"
        listed = (await client.users_list(team_id="T7"))["members"]
        assert "UT7" in [u["id"] for u in listed]
        assert await refused(client.users_list(team_id="T1")) == "team_access_not_granted"
        assert (await client.auth_test())["enterprise_id"] == "E1"

    async def test_threads_and_history_leave_out_what_is_ephemeral(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        root = (await client.chat_postMessage(channel="C1", text="root"))["ts"]
        await client.chat_postMessage(channel="C1", text="reply", thread_ts=root)
        await client.chat_postEphemeral(channel="C1", user="U1", text="psst", thread_ts=root)

        replies = await client.conversations_replies(channel="C1", ts=root)
        history = await client.conversations_history(channel="C1")

        assert [m["text"] for m in replies["messages"]] == ["root", "reply"]
        assert [(m["text"], m["reply_count"]) for m in history["messages"]] == [("root", 1)]

    async def test_the_token_of_an_installation_is_got_for_a_code_that_works_once(
        self, api: SlackApi
    ) -> None:
        back = "http://app.example/oauth"
        page = (
            f"{api.origin}/oauth/v2/authorize?client_id={api.client_id}&state=s&redirect_uri={back}"
        )
        async with aiohttp.ClientSession() as session:
            response = await session.get(page, allow_redirects=False)
        code = response.headers["Location"].partition("code=")[2].partition("&")[0]
        client = AsyncWebClient(base_url=api.url)
        asked: Json = {
            "client_id": api.client_id, "client_secret": api.client_secret,
            "code": code, "redirect_uri": back,
        }  # fmt: skip

        granted = await client.oauth_v2_access(**asked)

        assert (granted["access_token"], granted["team"]["id"]) == ("xoxb-T1", "T1")
        assert await refused(client.oauth_v2_access(**asked)) == "invalid_code"


class TestBlocks:
    @pytest.mark.parametrize(
        ("blocks", "error"),
        [
            ([a_section("x")] * 51, "invalid_blocks"),
            ([a_section("x" * 3_001)], "invalid_blocks"),
            ([a_section("")], "invalid_blocks"),
            ([a_button(text="x" * 76)], "invalid_blocks"),
            ([a_button(action_id="x" * 256)], "invalid_blocks"),
            ([markdown("x" * 6_001), markdown("x" * 6_000)], "invalid_blocks"),
            ([a_section("x" * 2_990)] * 4 + [markdown("x" * 1_300)], "msg_blocks_too_long"),
            ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}] * 2, "invalid_blocks"),
            ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}], "invalid_blocks"),
            ([{"type": "nothing"}], "invalid_blocks"),
            ("no list", "invalid_blocks_format"),
        ],
    )  # fmt: skip
    async def test_blocks_beyond_the_limits_are_refused(
        self, client: AsyncWebClient, blocks: Any, error: str
    ) -> None:
        assert (
            await refused(client.chat_postMessage(channel="C1", text="x", blocks=blocks)) == error
        )

    async def test_the_refusal_points_at_the_place(self, client: AsyncWebClient) -> None:
        with pytest.raises(SlackApiError) as raised:
            await client.chat_postMessage(channel="C1", text="x", blocks=[a_section("x" * 3_001)])

        (message,) = raised.value.response["response_metadata"]["messages"]
        assert (
            message
            == "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
        )

    async def test_everything_within_the_limits_is_taken_and_read_as_text(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        cell = {"type": "raw_text", "text": "M3"}
        feedback = {
            "type": "feedback_buttons", "action_id": "answer_feedback",
            "positive_button": {"text": {"type": "plain_text", "text": "Helpful"}, "value": "up"},
            "negative_button": {"text": {"type": "plain_text", "text": "No"}, "value": "down"},
        }  # fmt: skip
        blocks = [
            {"type": "header", "text": {"type": "plain_text", "text": "Title <@U1>"}},
            markdown("see [the *rules*](https://x.example) and `a_b` &lt;@U1&gt;"),
            {"type": "table", "rows": [[cell, cell]]},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": "<https://x.example|one>"}],
            },
            {"type": "context_actions", "elements": [feedback]},
        ]

        await client.chat_postMessage(channel="C1", text="x", blocks=blocks)

        (shown,) = api.messages("C1")
        assert api.text_of(shown).splitlines() == [
            "Title <@U1>", "see the *rules* (https://x.example) and a_b <@U1>", "M3 | M3",
            "one (https://x.example)", "Helpful", "No",
        ]  # fmt: skip
        assert api.notified_by(shown) == set()


class TestStreams:
    async def test_a_stream_grows_and_ends_with_blocks(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        root = await api.message("U1", "C1", "question")
        stream = await client.chat_stream(
            channel="C1", thread_ts=root.ts, buffer_size=1,
            recipient_user_id="U1", recipient_team_id="T1",
        )  # fmt: skip
        task = {"type": "task_update", "id": "t", "title": "Search", "status": "in_progress"}

        await stream.append(chunks=[task])
        await stream.append(markdown_text="Hello ")
        during = api.from_app("C1")[0]
        assert during.is_streaming
        await stream.append(chunks=[task | {"status": "complete"}])
        await stream.append(markdown_text="**world**")
        await stream.stop(blocks=[a_section("end")])

        (shown,) = api.from_app("C1", root.ts)
        assert not shown.is_streaming
        assert api.text_of(shown) == "Search\nHello world\nend"
        assert shown.blocks[0]["status"] == "complete"
        assert len(shown.versions) == 6

    async def test_a_channel_needs_a_recipient_and_every_stream_a_thread(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        root = await api.message("U1", "C1", "question")
        start = client.chat_startStream

        assert await refused(start(channel="C1", thread_ts=root.ts)) == "missing_recipient_team_id"
        only_team = start(channel="C1", thread_ts=root.ts, recipient_team_id="T1")
        assert await refused(only_team) == "missing_recipient_user_id"
        elsewhere: Json = {"recipient_team_id": "T1", "recipient_user_id": "U1"}
        assert await refused(start(channel="C1", thread_ts="", **elsewhere)) == "invalid_arguments"
        assert (
            await refused(start(channel="C1", thread_ts="1.2", **elsewhere)) == "thread_not_found"
        )

    async def test_only_the_stream_may_change_its_message_until_it_stops(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        root = await api.direct_message("U1", "question")
        stream: Json = {"channel": root.channel, "ts": await self._started(client, root)}

        assert await refused(client.chat_update(**stream, text="x")) == "streaming_state_conflict"
        assert await refused(client.chat_delete(**stream)) == "cant_delete_message"
        mixed = client.chat_appendStream(**stream, chunks=[{"type": "markdown_text", "text": "x"}])
        assert await refused(mixed) == "streaming_mode_mismatch"
        await client.chat_stopStream(**stream)
        late = client.chat_appendStream(**stream, markdown_text="x")
        assert await refused(late) == "message_not_in_streaming_state"
        await client.chat_update(**stream, text="instead")

    async def test_slack_ends_a_stream_after_five_minutes(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        root = await api.direct_message("U1", "question")
        stream: Json = {"channel": root.channel, "ts": await self._started(client, root)}

        api.advance(310)

        append = client.chat_appendStream(**stream, markdown_text="x")
        assert await refused(append) == "message_not_in_streaming_state"
        await client.chat_update(**stream, text="the whole")

    async def test_a_reader_may_stop_it(self, api: SlackApi, client: AsyncWebClient) -> None:
        root = await api.direct_message("U1", "question")
        stream: Json = {"channel": root.channel, "ts": await self._started(client, root)}

        await api.stop_pressed("U1", root)

        append = client.chat_appendStream(**stream, markdown_text="x")
        assert await refused(append) == "stopped_by_user"
        assert api.deliveries[-1].event["streaming_message_ts"] == [stream["ts"]]

    async def _started(self, client: AsyncWebClient, root: Any) -> str:
        answer = await client.chat_startStream(
            channel=root.channel, thread_ts=root.ts, markdown_text="a"
        )
        return str(answer["ts"])


class TestFaults:
    async def test_too_many_calls_are_told_when_to_come_back(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.rate_limit("auth.test", per_minute=2)
        await client.auth_test()
        await client.auth_test()

        with pytest.raises(SlackApiError) as raised:
            await client.auth_test()

        assert raised.value.response.status_code == 429
        assert int(raised.value.response.headers["Retry-After"]) <= 60
        api.advance(61)
        await client.auth_test()

    async def test_faults_last_as_long_as_they_are_told_to(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.fail("chat.postMessage", times=2, error="fatal_error")
        api.without("chat.startStream")

        for _ in range(2):
            assert await refused(client.chat_postMessage(channel="C1", text="x")) == "fatal_error"
        await client.chat_postMessage(channel="C1", text="x")
        start = client.chat_startStream(channel="C1", thread_ts="1.2")
        assert await refused(start) == "unknown_method"
        assert [c.error for c in api.calls("chat.postMessage")] == [
            "fatal_error",
            "fatal_error",
            None,
        ]

    async def test_the_work_may_be_done_though_the_answer_is_lost(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.fail("chat.postMessage", drops_answer=True)
        client.retry_handlers = []

        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel="C1", text="x")

        assert [m.text for m in api.messages("C1")] == ["x"]

    async def test_slack_may_be_down_and_up_again(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        client.retry_handlers = []
        await api.down()
        assert (await aiohttp.ClientSession().get(f"{api.url}auth.test")).status == 503
        await api.up()
        await client.auth_test()
        await api.down(refuses_connections=True)
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.auth_test()
        await api.up()
        await client.auth_test()


class TestDelivery:
    @pytest.fixture(params=["http", "socket"])
    async def app(self, api: SlackApi, request: pytest.FixtureRequest) -> AsyncIterator[App]:
        app = App(api)
        by = app.by_http if request.param == "http" else app.by_socket
        async with by(api):
            yield app

    async def test_a_mention_arrives_and_with_channel_messages_it_arrives_twice(
        self, api: SlackApi, app: App
    ) -> None:
        said = await api.mention("U1", "C1", "what is new?")
        await api.until(lambda: len(app.heard) == 1)
        api.sends_channel_messages = True
        again = await api.mention("U1", "C1", "and now?", thread_ts=said.ts)
        await api.until(lambda: len(app.heard) == 3)

        assert app.heard[0]["text"] == "<@UBOT> what is new?"
        assert "channel_type" not in app.heard[0]
        assert sorted(e["type"] for e in app.heard[1:]) == ["app_mention", "message"]
        assert {e["ts"] for e in app.heard[1:]} == {again.ts}
        assert len({d.payload["event_id"] for d in api.deliveries}) == 3

    async def test_what_is_not_for_the_app_does_not_arrive(self, api: SlackApi, app: App) -> None:
        api.channel("C7", "elsewhere", members=["U1"], with_app=False)

        await api.message("U1", "C1", "chatter")
        await api.mention("U1", "C7", "are you there?")
        await api.direct_message("U1", "hello")
        await api.until(lambda: app.heard)

        assert [e["channel_type"] for e in app.heard] == ["im"]

    async def test_a_command_is_answered_at_once_and_later(self, api: SlackApi, app: App) -> None:
        await api.command("U1", "C1", "/ask", "holidays")
        await api.until(lambda: len(api.messages("C1")) == 2)

        assert {m.text for m in api.visible_to("U1", "C1")} == {"one moment", "about holidays"}
        assert api.visible_to("U2", "C1") == []

    async def test_a_press_may_change_an_ephemeral_message(
        self, api: SlackApi, app: App, client: AsyncWebClient
    ) -> None:
        await client.chat_postEphemeral(channel="C1", user="U1", text="x", blocks=[a_button()])
        (shown,) = api.visible_to("U1", "C1")

        delivery = await api.action(shown, "press")
        await api.until(lambda: shown.text == "changed")

        assert delivery.is_acknowledged
        assert app.heard[0]["container"]["is_ephemeral"]
        assert "message" not in app.heard[0]
        assert app.heard[0]["actions"][0]["value"] == "v1"

    async def test_a_dialog_opens_refuses_and_is_saved(self, api: SlackApi, app: App) -> None:
        said = await api.message("U1", "C1", "worth keeping")
        await api.shortcut("U1", "capture", said)
        view = await api.until(lambda: next(iter(api.views), None))

        await api.submit_view(view, {"text": "bad"})
        assert (view.errors, view.is_open) == ({"note": "Say more."}, True)
        await api.submit_view(view, {"text": "good"})

        assert not view.is_open
        assert app.heard[0]["state"]["values"]["note"]["text"]["value"] == "good"

    async def test_membership_is_told(self, api: SlackApi, app: App) -> None:
        api.user("U5", "Eve")

        await api.join("U5", "C1")
        await api.until(lambda: app.heard)

        assert (app.heard[0]["user"], app.heard[0]["channel"]) == ("U5", "C1")
        assert "U5" in api.slack.world.the_channel("C1").members

    async def test_the_home_tab_and_the_stop_button_are_told(
        self, api: SlackApi, app: App, client: AsyncWebClient
    ) -> None:
        said = await api.direct_message("U1", "question")
        await client.views_publish(user_id="U1", view={"type": "home", "blocks": [a_section("hi")]})

        await api.home_opened("U1")
        await api.stop_pressed("U1", said)
        await api.until(lambda: len(app.heard) == 3)

        home = next(e for e in app.heard if e["type"] == "app_home_opened")
        assert (home["tab"], home["channel"]) == ("home", api.dm("U1"))
        assert home["view"]["blocks"][0]["text"]["text"] == "hi"

    async def test_a_feedback_button_sends_the_half_that_was_pressed(
        self, api: SlackApi, app: App, client: AsyncWebClient
    ) -> None:
        feedback = {
            "type": "feedback_buttons", "action_id": "answer_feedback",
            "positive_button": {"text": {"type": "plain_text", "text": "Yes"}, "value": "up"},
            "negative_button": {"text": {"type": "plain_text", "text": "No"}, "value": "down"},
        }  # fmt: skip
        blocks = [{"type": "context_actions", "elements": [feedback]}]
        await client.chat_postMessage(channel="C1", text="x", blocks=blocks)
        (shown,) = api.messages("C1")

        await api.action(shown, "answer_feedback", user="U2", value="down")
        await api.until(lambda: app.heard)

        (pressed,) = app.heard[0]["actions"]
        assert (pressed["type"], pressed["value"]) == ("feedback_buttons", "down")
        assert (app.heard[0]["user"]["id"], app.heard[0]["message"]["ts"]) == ("U2", shown.ts)

    async def test_a_changed_and_a_deleted_message_are_told(self, api: SlackApi, app: App) -> None:
        said = await api.direct_message("U1", "first")

        await api.edit(said, "second")
        await api.delete(said)
        await api.until(lambda: len(app.heard) == 3)

        changes = {e["subtype"]: e for e in app.heard if e.get("subtype")}
        assert changes["message_changed"]["message"]["text"] == "second"
        assert changes["message_deleted"]["deleted_ts"] == said.ts


class TestRedelivery:
    async def test_an_event_without_a_good_answer_comes_again(self, api: SlackApi) -> None:
        app = App(api)
        async with app.by_http(api):
            app.answers = False
            await api.mention("U1", "C1", "hello")
            app.answers = True
            await api.settled()
            await api.until(lambda: app.heard)

        (delivery,) = api.deliveries
        assert delivery.attempts[0].status == 500
        assert delivery.is_acknowledged
        assert app.retries[0] == "1 http_error"

    async def test_three_retries_and_then_no_more(self, api: SlackApi) -> None:
        app = App(api)
        async with app.by_http(api):
            app.answers = False
            await api.mention("U1", "C1", "hello")
            await api.settled()

        assert app.retries == ["1 http_error", "2 http_error", "3 http_error"]

    async def test_a_forged_signature_is_not_taken(self, api: SlackApi) -> None:
        app = App(api)
        async with app.by_http(api), aiohttp.ClientSession() as session:
            headers = api.signed("{}") | {"Content-Type": "application/json"}
            assert api.request_url is not None
            response = await session.post(api.request_url, data='{"a": 1}', headers=headers)

        assert response.status == 401

    async def test_what_a_dropped_socket_did_not_acknowledge_comes_again(
        self, api: SlackApi
    ) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(api.slack.deliveries.sockets.new_url()) as silent,
        ):
            assert (await silent.receive_json())["type"] == "hello"
            said = asyncio.create_task(api.mention("U1", "C1", "hello"))
            lost = await silent.receive_json()
            app = App(api)
            async with app.by_socket(api):
                await silent.close()
                await said
                await api.until(lambda: app.heard)

        (delivery,) = api.deliveries
        assert lost["payload"]["event_id"] == delivery.payload["event_id"]
        assert delivery.attempts[0].reason == "connection_failed"
        assert delivery.is_acknowledged

    async def test_an_app_comes_back_when_slack_refreshes_its_sockets(self, api: SlackApi) -> None:
        app = App(api)
        async with app.by_socket(api):
            await api.refresh_sockets()
            await api.until(lambda: api.slack.deliveries.sockets.opened >= 2)
            await api.connected()
            await api.mention("U1", "C1", "still there?")
            await api.until(lambda: app.heard)


class TestViewsAndResponses:
    async def test_a_trigger_lives_three_seconds_and_once(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        person = api.slack.world.the_user("U1")
        trigger = api.slack.new_trigger(person, "T1")
        await client.views_open(trigger_id=trigger, view=a_modal())

        assert await refused(client.views_open(trigger_id=trigger, view=a_modal())) == (
            "exchanged_trigger_id"
        )
        old = api.slack.new_trigger(person, "T1")
        api.advance(4)
        assert await refused(client.views_open(trigger_id=old, view=a_modal())) == (
            "expired_trigger_id"
        )

    async def test_views_have_limits_and_hashes(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        trigger = api.slack.new_trigger(api.slack.world.the_user("U1"), "T1")
        long_title = a_modal(title={"type": "plain_text", "text": "x" * 25})

        assert await refused(client.views_open(trigger_id="no", view=a_modal())) == (
            "invalid_trigger_id"
        )
        home = {"type": "home", "blocks": [a_section("hi")]}
        published = await client.views_publish(user_id="U1", view=home)
        stale = client.views_publish(user_id="U1", view=home, hash="stale")
        assert await refused(stale) == "hash_conflict"
        await client.views_publish(user_id="U1", view=home, hash=published["view"]["hash"])
        assert await refused(client.views_open(trigger_id=trigger, view=long_title)) == (
            "invalid_arguments"
        )
        shown = api.home("U1")
        assert shown is not None
        assert api.text_of_view(shown) == "hi"

    async def test_a_response_url_works_five_times_in_half_an_hour(self, api: SlackApi) -> None:
        place, person = api.slack.world.the_channel("C1"), api.slack.world.the_user("U1")
        webhook = AsyncWebhookClient(api.slack.new_response_url(place, person))
        other = AsyncWebhookClient(api.slack.new_response_url(place, person))

        codes = [(await webhook.send(text="x")).status_code for _ in range(6)]
        api.advance(1_801)

        assert codes == [200] * 5 + [404]
        assert (await other.send(text="x")).status_code == 404

    async def test_after_a_command_there_is_nothing_to_replace(self, api: SlackApi) -> None:
        place, person = api.slack.world.the_channel("C1"), api.slack.world.the_user("U1")
        webhook = AsyncWebhookClient(api.slack.new_response_url(place, person))

        await webhook.send(text="looking")
        await webhook.send(text="found", replace_original=True)

        assert [m.text for m in api.visible_to("U1", "C1")] == ["looking", "found"]


class TestFiles:
    async def test_a_file_needs_the_token_the_scope_and_a_shared_conversation(
        self, api: SlackApi, client: AsyncWebClient
    ) -> None:
        api.file("F1", "plan.txt", b"the plan", mimetype="text/plain")
        await api.direct_message("U1", "see this", files=["F1"])
        url = (await client.files_info(file="F1"))["file"]["url_private"]

        assert await self._got(url, "xoxb-T1") == ("text/plain", "the plan")
        assert (await self._got(url, ""))[0] == "text/html"
        api.revoke_scope("files:read")
        assert (await self._got(url, "xoxb-T1"))[0] == "text/html"

    async def test_an_upload_takes_three_steps(self, api: SlackApi) -> None:
        api.install(scopes=["chat:write", "files:write", "files:read"])
        client = AsyncWebClient(token="xoxb-T1", base_url=api.url)

        await client.files_upload_v2(channel="C1", content="hello", filename="a.txt")

        (shown,) = api.messages("C1")
        assert shown.files[0]["name"] == "a.txt"

    async def _got(self, url: str, token: str) -> tuple[str, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as got:
            return got.content_type, await got.text()


async def test_the_search_in_slack_needs_the_token_of_a_message_just_heard(api: SlackApi) -> None:
    api.install(scopes=["chat:write", "search:read.public", "app_mentions:read"])
    api.search_finds({"content": "found", "channel_id": "C1"})
    client = AsyncWebClient(token="xoxb-T1", base_url=api.url)

    await api.mention("U1", "C1", "what did we say?")

    search = "assistant.search.context"
    assert await refused(client.api_call(search, json={"query": "x"})) == "missing_argument"
    token = api.deliveries[-1].event["assistant_thread"]["action_token"]
    found = await client.api_call(search, json={"query": "x", "action_token": token})
    assert found["results"]["messages"][0]["content"] == "found"


async def test_an_org_wide_installation_is_named_in_its_events(api: SlackApi) -> None:
    api.workspace("T7", enterprise="E1")
    api.user("U7", "Grid", team="T7")
    api.channel("C7", "grid", members=["U7"], team="T7")
    api.install("E1", is_enterprise_install=True)

    await api.mention("U7", "C7", "hello")

    (delivery,) = api.deliveries
    (authorization,) = delivery.payload["authorizations"]
    assert (delivery.payload["team_id"], delivery.payload["enterprise_id"]) == ("T7", "E1")
    assert (authorization["team_id"], authorization["is_enterprise_install"]) == (None, True)


async def test_the_same_id_in_two_workspaces_is_two_people(api: SlackApi) -> None:
    api.workspace("T2")
    api.user("U1", "Other Ann", team="T2")
    api.install("T2")
    here = AsyncWebClient(token="xoxb-T1", base_url=api.url)
    there = AsyncWebClient(token="xoxb-T2", base_url=api.url)

    await api.direct_message("U1", "hi", team="T2")

    assert (await here.users_info(user="U1"))["user"]["real_name"] == "Ann Chen"
    assert (await there.users_info(user="U1"))["user"]["real_name"] == "Other Ann"
    assert api.deliveries[-1].payload["team_id"] == "T2"


async def test_it_runs_as_a_process_of_its_own() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.slack_api", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        remote = RemoteSlackApi((await process.stdout.readline()).decode().strip())
        await remote.call("workspace", "T1")
        await remote.call("install")
        client = AsyncWebClient(token="xoxb-T1", base_url=remote.url)
        assert (await client.auth_test())["team_id"] == "T1"
    finally:
        process.terminate()
        await process.wait()


async def test_another_process_drives_it_by_name(api: SlackApi) -> None:
    remote = RemoteSlackApi(api.url)

    await remote.call("user", "U8", "Remote")
    await remote.call("join", "U8", "C1", event=False)
    await remote.set("sends_channel_messages", False)
    said = await remote.call("message", "U8", "C1", "hello")

    assert said["text"] == "hello"
    (shown,) = await remote.call("messages", "C1")
    assert await remote.call("text_of", shown) == "hello"
