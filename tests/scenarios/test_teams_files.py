"""What lies around a question in Teams: files, and what the thread said before."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.chat.directory_cache import InMemoryDirectoryCache
from adapters.chat.origins import InMemoryOrigins
from adapters.chat.threads import InMemoryThreads
from adapters.teams.asking import TeamsAsking
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.files import Uploads
from adapters.teams.graph import Graph
from adapters.teams.hosts import KnownHosts
from adapters.teams.incoming import message_of
from adapters.teams.origin import Origin
from adapters.teams.outbox import TeamsOutbox
from adapters.teams.outbox_wire import connector_session
from adapters.teams.places import InMemoryPlaces
from adapters.teams.surroundings import TeamsSurroundings
from adapters.teams_settings import FILE_HOSTS
from bot.audience import Audience
from bot.directory import EmptyDirectory
from bot.messages import Attachment, IncomingMessage
from bot.surroundings import AttachmentUnreadable, Unreadable
from tests.builders import TENANT
from tests.fakes.teams.graph_files import library_permissions
from tests.fakes.teams.platform import BOT_SCOPE
from tests.fakes.teams_api import File, Message, TeamsApi
from tests.teams_company import (
    ANN,
    BEN,
    CLOSED_TEAM,
    GENERAL,
    GROUP_CHAT,
    GUS,
    LAB,
    OURS,
    SAM,
    TeamsCompany,
    a_teams_company,
    furnish,
    guid,
)

CONTRACT = b"# Supply contract\n\nEither party may end this contract with ninety days of notice.\n"
FILE = guid(0xF1)


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: TeamsApi, redis_url: str) -> AsyncIterator[TeamsCompany]:
    async with a_teams_company(tmp_path, api, redis_url) as company:
        yield company


def a_contract(api: TeamsApi, **more: object) -> File:
    return api.file(FILE, "contract.md", CONTRACT, content_type="text/markdown", **more)  # type: ignore[arg-type]


class TestAFile:
    @pytest.mark.parametrize("place", ["personal", GENERAL, LAB, GROUP_CHAT])
    async def test_answers_the_question_that_it_came_with(
        self, company: TeamsCompany, place: str
    ) -> None:
        a_contract(company.api)

        asked = await company.api.says(ANN, place, "這份文件在說什麼？", files=[FILE])

        answer = await company.answered(asked)
        assert "ninety days" in company.text(answer)
        assert "contract.md" in company.text(answer) + str(answer.entities)

    async def test_in_the_thread_is_read_when_the_question_names_it(
        self, company: TeamsCompany
    ) -> None:
        a_contract(company.api)
        root = await company.api.says(
            SAM, CLOSED_TEAM, "It came back.", mention=False, files=[FILE]
        )

        asked = await company.api.says(
            ANN, CLOSED_TEAM, "What does this contract say?", reply_to=root
        )

        assert "ninety days" in company.text(await company.answered(asked))

    async def test_that_we_may_not_read_is_said_plainly(self, company: TeamsCompany) -> None:
        company.api.forbid("ChannelMessage.Read.All")
        a_contract(company.api)

        asked = await company.api.says(ANN, GENERAL, "What does it say?", files=[FILE])

        answer = company.text(await company.answered(asked))
        assert "no access" in answer
        assert "ninety days" not in answer

    async def test_that_somebody_there_may_not_read_is_not_read_to_them(
        self, company: TeamsCompany
    ) -> None:
        a_contract(company.api, permissions=[_granted(ANN), _granted(BEN)])

        asked = await company.api.says(ANN, GROUP_CHAT, "What does it say?", files=[FILE])

        answer = company.text(await company.answered(asked))
        assert "no access" in answer
        assert "ninety days" not in answer


@dataclass
class Desk:
    api: TeamsApi
    surroundings: TeamsSurroundings
    asking: TeamsAsking
    heard: list[IncomingMessage]

    async def hears(self, said: Message) -> IncomingMessage:
        """As what *said* was delivered with tells."""
        told = message_of(said.body)
        assert told is not None
        await self.asking.ask(told)
        return self.heard[-1]

    async def refusal(
        self, message: IncomingMessage, attachment: Attachment | None = None
    ) -> Unreadable:
        with pytest.raises(AttachmentUnreadable) as refused:
            await self.surroundings.fetch(
                message, attachment or message.attachments[0], max_bytes=2_000
            )
        return refused.value.reason


@pytest.fixture
async def desk(api: TeamsApi) -> AsyncIterator[Desk]:
    tokens = BotTokens(
        api.app_id, OURS, Credentials(secret=api.app_password), login_url=api.login_url
    )
    origins: InMemoryOrigins[Origin] = InMemoryOrigins()
    places, heard = InMemoryPlaces(), list[IncomingMessage]()
    graph = Graph.open(tokens, base_url=api.graph_url)

    async def accept(message: IncomingMessage) -> None:
        heard.append(message)

    async with connector_session() as http:
        outbox = TeamsOutbox(http, tokens, KnownHosts(["127.0.0.1"]), scope=BOT_SCOPE, patience_s=1)
        directory = TeamsDirectory(
            graph,
            outbox,
            places,
            InMemoryDirectoryCache(),
            EmptyDirectory(),
            tenant=TENANT,
            rules=TeamsRules(frozenset({OURS})),
        )
        surroundings = TeamsSurroundings(
            http,
            graph,
            origins,
            places,
            Audience(directory),
            file_hosts=["127.0.0.1"],
        )
        asking = TeamsAsking(accept, origins, places, InMemoryThreads(), tenant=TENANT)
        yield Desk(api, surroundings, asking, heard)
        await directory.close()
    await graph.close()
    await tokens.close()


class TestAFileOfAChannel:
    async def test_is_fetched_with_no_token_but_graphs_own(self, desk: Desk) -> None:
        a_contract(desk.api)
        message = await desk.hears(await desk.api.says(ANN, LAB, "?", files=[FILE]))

        (attachment,) = message.attachments
        fetched = await desk.surroundings.fetch(message, attachment, max_bytes=2_000)

        assert fetched.content == CONTRACT
        assert fetched.attachment.name == "contract.md"
        assert fetched.attachment.media_type == "text/markdown"
        (download,) = desk.api.calls("download")
        assert "Authorization" not in download.headers

    async def test_in_its_library_but_not_for_all_its_members_is_not_read(self, desk: Desk) -> None:
        """The writer's client may name any file, and we may read them all."""
        owners = library_permissions(desk.api.teams, f"posted-{guid(0x72)}")[:1]
        a_contract(desk.api, permissions=[*owners, _granted(ANN)])

        message = await desk.hears(await desk.api.says(ANN, LAB, "?", files=[FILE]))

        assert await desk.refusal(message) is Unreadable.NO_ACCESS
        assert desk.api.calls("download") == []

    async def test_of_another_library_is_read_if_it_names_every_reader(self, desk: Desk) -> None:
        a_contract(desk.api, permissions=[_granted(ANN), _granted(BEN)])
        said = await desk.api.says(ANN, LAB, "?", files=[FILE])
        desk.api.teams.world.files[FILE].drive = f"posted-{ANN}"

        message = await desk.hears(said)

        fetched = await desk.surroundings.fetch(message, message.attachments[0], max_bytes=2_000)
        assert fetched.content == CONTRACT

    @pytest.mark.parametrize(
        "permission",
        [
            {"roles": ["sp.limited access"]},
            {"roles": []},
            {"expirationDateTime": "2020-01-01T00:00:00Z"},
            {"grantedToV2": {"siteGroup": {"id": "5"}}},
            {"grantedToV2": None, "link": {"scope": "organization", "type": "view"}},
            {"grantedToV2": None, "link": {"scope": "anonymous", "type": "view"}},
        ],
    )
    async def test_is_not_read_by_a_grant_that_is_not_sure(
        self, desk: Desk, permission: dict[str, object]
    ) -> None:
        a_contract(desk.api, permissions=[_granted(ANN), _granted(BEN) | permission])
        said = await desk.api.says(ANN, LAB, "?", files=[FILE])
        desk.api.teams.world.files[FILE].drive = f"posted-{ANN}"

        assert await desk.refusal(await desk.hears(said)) is Unreadable.NO_ACCESS

    async def test_of_a_chat_with_a_guest_is_not_read(self, desk: Desk) -> None:
        desk.api.chat("19:mixed@thread.v2", [ANN, GUS])
        a_contract(desk.api)

        said = await desk.api.says(ANN, "19:mixed@thread.v2", "?", files=[FILE])

        assert await desk.refusal(await desk.hears(said)) is Unreadable.NO_ACCESS

    @pytest.mark.parametrize(
        ("prepare", "reason"),
        [
            (lambda api: api.forbid("ChannelMessage.Read.All"), Unreadable.NO_ACCESS),
            (lambda api: api.forbid("Files.Read.All", "Sites.Read.All"), Unreadable.NO_ACCESS),
            (lambda api: api.fail("graph", times=9, status=503), Unreadable.AWAY),
            (lambda api: api.fail("graph", status=429, retry_after_s=60), Unreadable.AWAY),
            (lambda api: api.teams.log.all[-1].files.clear(), Unreadable.GONE),
            # As for a file that is there and not for the reader: else it would tell what there is.
            (lambda api: setattr(_file(api), "drive", ""), Unreadable.NO_ACCESS),
            (lambda api: setattr(_file(api), "content", b"x" * 2_001), Unreadable.TOO_LARGE),
        ],
    )
    async def test_that_cannot_be_had_says_why(
        self, desk: Desk, prepare: Callable[[TeamsApi], object], reason: Unreadable
    ) -> None:
        a_contract(desk.api)
        message = await desk.hears(await desk.api.says(ANN, GENERAL, "?", files=[FILE]))

        prepare(desk.api)

        assert await desk.refusal(message) is reason

    async def test_that_did_not_come_with_the_question_is_gone(self, desk: Desk) -> None:
        a_contract(desk.api)
        message = await desk.hears(await desk.api.says(ANN, "personal", "?", files=[FILE]))

        unknown = Attachment("upload:7", "x.md", "", 0)

        assert await desk.refusal(message, unknown) is Unreadable.GONE


class TestAnUpload:
    @pytest.mark.parametrize(
        "address",
        [
            "https://contoso.sharepoint.com.evil.example/x",
            "https://evil.example/contoso.sharepoint.com",
            "http://contoso.sharepoint.com/x",
            "https://contoso.sharepoint.com:8443/x",
            "https://user@contoso.sharepoint.com/x",
            "https://evil.example\\@contoso.sharepoint.com/x",
            "https://evilsharepoint.com/x",
            "https://127.0.0.1/x",
            "http://localhost/x",
            "file:///etc/passwd",
            "//contoso.sharepoint.com/x",
            "",
        ],
    )
    async def test_comes_from_microsoft_alone(self, address: str) -> None:
        async with connector_session() as http:
            uploads = Uploads(http, KnownHosts(FILE_HOSTS))

            with pytest.raises(AttachmentUnreadable) as refused:
                await uploads.fetch(address, a_file(), max_bytes=9)

        assert refused.value.reason is Unreadable.ELSEWHERE

    async def test_is_not_followed_to_another_host(self) -> None:
        async def away(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("http://localhost:1/files")

        assert await uploaded(away) is Unreadable.ELSEWHERE

    async def test_is_followed_on_known_hosts_without_a_token(self) -> None:
        async def aside(request: web.Request) -> web.StreamResponse:
            assert "Authorization" not in request.headers
            assert "Cookie" not in request.headers
            if "moved" not in request.query:
                raise web.HTTPFound("/file?moved=1", headers={"Set-Cookie": "a=b"})
            return web.Response(body=b"Text.", content_type="text/plain")

        assert await uploaded(aside) == b"Text."

    async def test_is_not_followed_for_ever(self) -> None:
        async def around(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("/file")

        assert await uploaded(around) is Unreadable.NO_ACCESS

    async def test_is_never_the_page_to_sign_in(self) -> None:
        async def login(_: web.Request) -> web.StreamResponse:
            return web.Response(text="<title>Sign in</title>", content_type="text/html")

        assert await uploaded(login) is Unreadable.NO_ACCESS
        assert await uploaded(login, "page.html") == b"<title>Sign in</title>"

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

        assert await uploaded(endless) is Unreadable.TOO_LARGE
        assert sent < 2**28

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (401, Unreadable.NO_ACCESS),
            (403, Unreadable.NO_ACCESS),
            (404, Unreadable.GONE),
            (429, Unreadable.AWAY),
            (503, Unreadable.AWAY),
        ],
    )
    async def test_that_fails_says_why(self, status: int, reason: Unreadable) -> None:
        async def failing(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status)

        assert await uploaded(failing) is reason


class TestTheThread:
    async def test_tells_what_people_said_before_the_question(self, desk: Desk) -> None:
        api = desk.api
        a_contract(api)
        root = await api.says(BEN, CLOSED_TEAM, "Did <Globex> sign?", mention=False, files=[FILE])
        await api.says(ANN, CLOSED_TEAM, "Not yet.", reply_to=root)
        gone = await api.says(ANN, CLOSED_TEAM, "Mistake.", mention=False, reply_to=root)
        await api.delete(gone)
        place = api.teams.world.conversation(CLOSED_TEAM)
        api.teams.post(
            place, api.bot_id, {"type": "message", "text": "I am a bot."}, is_from_app=True,
            thread=root.id,
        )  # fmt: skip
        await api.says(ANN, CLOSED_TEAM, "Another thread.")
        asked = await api.says(ANN, CLOSED_TEAM, "And that?", reply_to=root)
        await api.says(BEN, CLOSED_TEAM, "Too late.", mention=False, reply_to=root)

        said = await desk.surroundings.earlier(await desk.hears(asked))

        assert [one.text for one in said] == ["Did <Globex> sign?", "Not yet."]
        assert [file.name for file in said[0].attachments] == ["contract.md"]

    async def test_of_many_messages_tells_the_latest_and_the_first_page_is_not_all(
        self, desk: Desk
    ) -> None:
        root = await desk.api.says(BEN, LAB, "Message 0", mention=False)
        for n in range(1, 130):
            await desk.api.says(BEN, LAB, f"Message {n}", mention=False, reply_to=root)
        asked = await desk.api.says(ANN, LAB, "And that?", reply_to=root)

        said = await desk.surroundings.earlier(await desk.hears(asked))

        assert [one.text for one in said] == [f"Message {n}" for n in range(100, 130)]

    @pytest.mark.parametrize(
        "prepare",
        [
            lambda api: api.forbid("ChannelMessage.Read.All"),
            lambda api: api.fail("graph", times=9, status=503),
            lambda api: api.fail("graph", delay_s=5),
        ],
    )
    async def test_is_done_without_where_it_cannot_be_read(
        self, desk: Desk, prepare: Callable[[TeamsApi], object]
    ) -> None:
        root = await desk.api.says(BEN, LAB, "Message 0", mention=False)
        message = await desk.hears(await desk.api.says(ANN, LAB, "And?", reply_to=root))

        prepare(desk.api)

        assert list(await desk.surroundings.earlier(message)) == []

    async def test_of_a_question_that_begins_one_or_stands_in_a_chat_is_not_asked_for(
        self, desk: Desk
    ) -> None:
        await desk.api.says(BEN, GROUP_CHAT, "Before.", mention=False)

        for place in (LAB, GROUP_CHAT, "personal"):
            message = await desk.hears(await desk.api.says(ANN, place, "What is it?"))
            assert list(await desk.surroundings.earlier(message)) == []

        assert [c for c in desk.api.calls() if c.name.startswith("graph:")] == []


def _granted(person: str) -> dict[str, object]:
    return {"id": f"p-{person}", "roles": ["read"], "grantedToV2": {"user": {"id": person}}}


def _file(api: TeamsApi) -> File:
    return api.teams.world.files[FILE]


def a_file(name: str = "notes.txt") -> Attachment:
    return Attachment("upload:0", name, "", 0)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def uploaded(download: Handler, name: str = "notes.txt") -> bytes | Unreadable:
    """What is had of a file that *download* hands out."""
    app = web.Application()
    app.router.add_get("/file", download)
    async with TestServer(app) as server, connector_session() as http:
        try:
            return await Uploads(http, KnownHosts(["127.0.0.1"])).fetch(
                str(server.make_url("/file")), a_file(name), max_bytes=100_000
            )
        except AttachmentUnreadable as refused:
            return refused.reason
