"""What lies around a question in Slack: files, what the thread said before, and a search with the asker's rights."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.chat.origins import InMemoryOrigins
from adapters.slack.client import SlackApi as OurSlackApi
from adapters.slack.client import SlackClients
from adapters.slack.files import SlackFiles
from adapters.slack.installations import InMemoryInstallations, Installation
from adapters.slack.origin import Origin
from adapters.slack.surroundings import SlackSurroundings
from bot.messages import Attachment, ConversationKind, ConversationRef, IncomingMessage
from bot.surroundings import AttachmentUnreadable, Unreadable
from tests.builders import TENANT, a_document, a_message, an_acl
from tests.company import Company, everything_shown
from tests.fakes.slack_api import SlackApi

CONTRACT = b"# Supply contract\n\nEither party may end this contract with ninety days of notice.\n"
TOKEN = "xoxb-T1"
LOGIN_PAGE = "<!DOCTYPE html><title>Sign in | Slack</title>"


@dataclass
class Desk:
    """A workspace with one channel and one direct message, and our side of it."""

    api: SlackApi
    surroundings: SlackSurroundings
    origins: InMemoryOrigins[Origin]

    async def heard(
        self, text: str, *, channel: str = "C1", ts: str = "9999999999.000001", thread_ts: str = "",
        files: tuple[Attachment, ...] = (), action_token: str = "",
    ) -> IncomingMessage:  # fmt: skip
        is_direct = channel.startswith("D")
        kind = ConversationKind.DIRECT if is_direct else ConversationKind.PRIVATE
        where = ConversationRef("test", TENANT, f"T1/{channel}", kind, thread_ts or None)
        message = a_message(text, conversation=where, event_id=f"slack:T1/{channel}/{ts}")
        origin = Origin("T1", "U1", "T1", channel, ts, thread_ts or ts, action_token=action_token)
        await self.origins.keep(message.event_id, origin)
        return replace(message, attachments=files, is_mid_thread=bool(thread_ts))

    def company(self, folder: Path) -> Company:
        people = {
            "users": {"ann": {}, "sam": {}},
            "conversations": {"T1/C1": {"kind": "private", "members": ["ann", "sam"]}},
        }
        return Company(folder, people=people, surroundings=self.surroundings)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with SlackApi() as api:
        api.workspace("T1")
        api.user("U1", "Ann Lee")
        api.user("U2", "Sam Wu")
        api.channel("C1", "deals", "private", ["U1", "U2"])
        api.install("T1")
        clients = SlackClients(
            OurSlackApi(api.url), InMemoryInstallations(Installation("", "T1", TOKEN, "UBOT"))
        )
        origins: InMemoryOrigins[Origin] = InMemoryOrigins()
        surroundings = SlackSurroundings(clients, origins, base_url=api.url, live_search=True)
        yield Desk(api, surroundings, origins)
        await clients.close()


def a_file(id: str = "F1", name: str = "contract.md") -> Attachment:
    return Attachment(id, name, "text/markdown", len(CONTRACT))


class TestAFile:
    async def test_answers_the_question_that_it_came_with(self, desk: Desk, tmp_path: Path) -> None:
        desk.api.file("F1", "contract.md", CONTRACT, mimetype="text/markdown", channels=["C1"])
        message = await desk.heard("這份文件在說什麼？", files=(a_file(),))

        (posted,) = await desk.company(tmp_path).received(message)

        assert "ninety days" in posted.final.text
        assert posted.final.citations[0].chunk.document.title == "contract.md"

    async def test_of_another_organisation_is_looked_up_by_its_id(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        desk.api.file(
            "F1", "contract.md", CONTRACT, mimetype="text/markdown", channels=["C1"], stub=True
        )
        stub = Attachment("F1", "F1", "", 0)
        message = await desk.heard("Summarise this.", files=(stub,))

        (posted,) = await desk.company(tmp_path).received(message)

        assert "ninety days" in posted.final.text
        assert posted.final.citations[0].chunk.document.title == "contract.md"

    async def test_in_the_thread_is_read_when_the_question_names_it(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        desk.api.file("F1", "contract.md", CONTRACT, mimetype="text/markdown", channels=["C1"])
        root = await desk.api.message("U2", "C1", "It came back.", files=["F1"])
        message = await desk.heard("What does this contract say?", thread_ts=root.ts)

        (posted,) = await desk.company(tmp_path).received(message)

        assert "ninety days" in posted.final.text

    @pytest.mark.parametrize(
        ("prepare", "reason"),
        [
            (lambda api: None, Unreadable.GONE),
            (
                lambda api: (a_shared_file(api), api.revoke_scope("files:read")),
                Unreadable.NO_ACCESS,
            ),
            (
                lambda api: (a_shared_file(api), api.fail("files.info", times=5, status=503)),
                Unreadable.AWAY,
            ),
            (
                lambda api: api.file(
                    "F1", "plan.gdoc", b"", mimetype="text/html", channels=["C1"], external=True
                ),
                Unreadable.ELSEWHERE,
            ),
            (
                lambda api: api.file(
                    "F1", "big.txt", b"x" * 2_001, mimetype="text/plain", channels=["C1"]
                ),
                Unreadable.TOO_LARGE,
            ),
        ],
    )
    async def test_that_cannot_be_had_says_why(
        self, desk: Desk, prepare: Callable[[SlackApi], object], reason: Unreadable
    ) -> None:
        prepare(desk.api)
        message = await desk.heard("What does it say?", files=(a_file(),))

        with pytest.raises(AttachmentUnreadable) as refusal:
            await desk.surroundings.fetch(message, a_file(), max_bytes=2_000)

        assert refusal.value.reason is reason


class TestTheToken:
    @pytest.mark.parametrize(
        "url",
        [
            "https://files.slack.com.evil.example/x",
            "https://evil.example/files.slack.com/x",
            "http://files.slack.com/x",
            "https://files.slack.com:8443/x",
            "https://user@files.slack.com/x",
            "https://files.slack.com@evil.example/x",
            "https://evil-slack.com/x",
            "//evil.example/x",
            "",
        ],
    )
    async def test_goes_to_slack_alone(self, url: str) -> None:
        async with a_slack(url=url) as stub:
            reason = await stub.refusal()

        assert reason is Unreadable.ELSEWHERE
        assert stub.downloads == 0

    async def test_does_not_follow_to_another_host(self) -> None:
        async def away(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(f"http://localhost:{stub.server.port}/files/F1")

        async with a_slack(away) as stub:
            reason = await stub.refusal()

        assert reason is Unreadable.NO_ACCESS
        assert stub.downloads == 1

    async def test_follows_on_the_same_host(self) -> None:
        async def aside(request: web.Request) -> web.StreamResponse:
            if "moved" not in request.query:
                raise web.HTTPFound("/files/F1?moved=1")
            return web.Response(body=b"Text.", content_type="text/plain")

        async with a_slack(aside) as stub:
            content = await stub.fetch()

        assert content == b"Text."

    async def test_does_not_follow_for_ever(self) -> None:
        async def around(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("/files/F1")

        async with a_slack(around) as stub:
            assert await stub.refusal() is Unreadable.NO_ACCESS


class TestADownload:
    @pytest.mark.parametrize("media_type", ["text/plain", "text/html"])
    async def test_is_never_the_page_to_sign_in(self, media_type: str) -> None:
        async def login(_: web.Request) -> web.StreamResponse:
            return web.Response(text=LOGIN_PAGE, content_type="text/html")

        async with a_slack(login, mimetype=media_type) as stub:
            assert await stub.refusal() is Unreadable.NO_ACCESS

    async def test_of_a_page_that_somebody_attached_is_that_page(self) -> None:
        async def page(_: web.Request) -> web.StreamResponse:
            return web.Response(text=LOGIN_PAGE, content_type="text/html")

        async with a_slack(page, mimetype="text/html", size=len(LOGIN_PAGE)) as stub:
            assert await stub.fetch() == LOGIN_PAGE.encode()

    async def test_that_is_longer_than_announced_is_broken_off(self) -> None:
        sent = 0

        async def endless(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            while sent < 2**30:
                await response.write(b"x" * 2**16)
                sent += 2**16
            return response

        async with a_slack(endless) as stub:
            assert await stub.refusal() is Unreadable.TOO_LARGE

        assert sent < 2**28

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (403, Unreadable.NO_ACCESS),
            (404, Unreadable.GONE),
            (429, Unreadable.AWAY),
            (503, Unreadable.AWAY),
        ],
    )
    async def test_that_fails_says_why(self, status: int, reason: Unreadable) -> None:
        async def failing(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status)

        async with a_slack(failing) as stub:
            assert await stub.refusal() is reason


class TestTheThread:
    async def test_tells_what_people_said_before_the_question(self, desk: Desk) -> None:
        root = await desk.api.message("U2", "C1", "Did &lt;Globex&gt; sign, <@U1>?")
        await desk.api.message("U1", "C1", "Not yet.", thread_ts=root.ts)
        desk.api.slack.post(
            desk.api.slack.world.the_channel("C1"), "UBOT", bot_id="BBOT", text="I am a bot.",
            thread_ts=root.ts,
        )  # fmt: skip
        asked = await desk.api.message("U1", "C1", "And that?", thread_ts=root.ts)
        await desk.api.message("U2", "C1", "Too late.", thread_ts=root.ts)
        message = await desk.heard("And that?", ts=asked.ts, thread_ts=root.ts)

        said = await desk.surroundings.earlier(message)

        assert [one.text for one in said] == ["Did <Globex> sign, @U1?", "Not yet."]

    async def test_is_told_as_far_as_one_call_brings_it(self, desk: Desk) -> None:
        root = await desk.api.message("U2", "C1", "Message 0")
        for n in range(1, 20):
            await desk.api.message("U2", "C1", f"Message {n}", thread_ts=root.ts)
        desk.api.limit_history()
        message = await desk.heard("And that?", thread_ts=root.ts)

        said = await desk.surroundings.earlier(message)
        again = await desk.surroundings.earlier(message)

        assert [one.text for one in said] == [f"Message {n}" for n in range(15)]
        assert again == []

    @pytest.mark.parametrize("error", ["channel_not_found", "missing_scope", "thread_not_found"])
    async def test_is_done_without_where_slack_refuses(self, desk: Desk, error: str) -> None:
        root = await desk.api.message("U2", "C1", "Message 0")
        desk.api.fail("conversations.replies", error=error)

        assert await desk.surroundings.earlier(await desk.heard("?", thread_ts=root.ts)) == []

    async def test_of_a_question_that_begins_one_is_empty(self, desk: Desk) -> None:
        message = await desk.heard("What is it?")

        assert await desk.surroundings.earlier(message) == ()
        assert desk.api.calls("conversations.replies") == []


class TestTheSearchInSlack:
    RESULT: ClassVar[dict[str, object]] = {
        "author_name": "Sam Wu", "channel_id": "C7", "channel_name": "plants",
        "message_ts": "1700000000.000100", "is_author_bot": False,
        "content": "The plant in Tainan is closed for maintenance until Friday &amp; Saturday.",
        "permalink": "https://acme.slack.com/archives/C7/p1700000000000100",
    }  # fmt: skip

    async def test_helps_the_asker_in_a_direct_message(self, desk: Desk, tmp_path: Path) -> None:
        self.found(desk, self.RESULT)
        message = await desk.heard(
            "Until when is the plant in Tainan closed?", channel="D1", action_token="t-1"
        )

        (posted,) = await desk.company(tmp_path).received(message)

        assert "Friday & Saturday" in posted.final.text
        document = posted.final.citations[0].chunk.document
        assert (document.title, document.owner) == ("#plants", "Sam Wu")
        assert document.link == self.RESULT["permalink"]

    async def test_is_not_made_in_a_channel(self, desk: Desk, tmp_path: Path) -> None:
        self.found(desk, self.RESULT)
        company = desk.company(tmp_path)
        await company.knows(a_document("Plants are watered on Mondays.", acl=an_acl()))
        message = await desk.heard("Until when is the plant closed?", action_token="t-1")

        posted = await company.received(message)

        assert "Friday" not in everything_shown(posted)
        assert desk.api.calls("assistant.search.context") == []

    async def test_leaves_out_bots_and_the_question_itself(self, desk: Desk) -> None:
        own = {**self.RESULT, "channel_id": "D1", "message_ts": "9999999999.000001"}
        self.found(desk, {**self.RESULT, "is_author_bot": True}, own, {"content": 7}, None)
        message = await desk.heard("Until when?", channel="D1", action_token="t-1")

        assert await desk.surroundings.found_live(message, "plant") == []

    async def test_is_done_without_where_slack_refuses(self, desk: Desk) -> None:
        self.found(desk, self.RESULT)
        message = await desk.heard("Until when?", channel="D1", action_token="stale")

        assert await desk.surroundings.found_live(message, "plant") == ()

    @staticmethod
    def found(desk: Desk, *messages: object) -> None:
        install = desk.api.slack.world.installs[0]
        install.scopes = install.scopes | {"search:read.public"}
        desk.api.slack.action_tokens.add("t-1")
        desk.api.slack.search_results = {"results": {"messages": list(messages)}}


def a_shared_file(api: SlackApi) -> object:
    return api.file("F1", "contract.md", CONTRACT, mimetype="text/markdown", channels=["C1"])


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StubbedSlack:
    """One file, handed out as a test wants it; counts who came with the token."""

    def __init__(self, download: Handler, file: dict[str, object]) -> None:
        self.downloads = 0
        self._download = download
        self._file = file
        app = web.Application()
        app.router.add_route("*", "/api/files.info", self._info)
        app.router.add_get("/files/F1", self._counted)
        self.server = TestServer(app)
        self.clients: SlackClients | None = None

    async def fetch(self) -> bytes:
        assert self.clients is not None
        files = SlackFiles(self.clients.session, str(self.server.make_url("/api/")))
        client = await self.clients.for_team("T1")
        return (await files.fetch(client, a_file(), max_bytes=100_000)).content

    async def refusal(self) -> Unreadable:
        with pytest.raises(AttachmentUnreadable) as refused:
            await self.fetch()
        return refused.value.reason

    async def _info(self, _: web.Request) -> web.Response:
        url = str(self.server.make_url("/files/F1"))
        return web.json_response({"ok": True, "file": {"url_private_download": url, **self._file}})

    async def _counted(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        self.downloads += 1
        return await self._download(request)


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.Response()


@asynccontextmanager
async def a_slack(
    download: Handler = _nothing,
    *,
    url: str | None = None,
    mimetype: str = "text/plain",
    size: int = 10,
) -> AsyncIterator[StubbedSlack]:
    file: dict[str, object] = {"id": "F1", "name": "a", "mimetype": mimetype, "size": size}
    stub = StubbedSlack(download, file if url is None else {**file, "url_private_download": url})
    async with stub.server:
        stub.clients = SlackClients(
            OurSlackApi(str(stub.server.make_url("/api/"))),
            InMemoryInstallations(Installation("", "T1", TOKEN, "UBOT")),
        )
        yield stub
        await stub.clients.close()
