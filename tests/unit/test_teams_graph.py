"""The client of Graph: what it repeats, what it waits for, and where it does not go."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.teams.failures import TeamsFailure
from adapters.teams.graph import Graph, GraphCall, GraphFailure, GraphPage
from adapters.teams_settings import FILE_HOSTS
from tests.fakes.scripted_server import Answer, ScriptedServer, told

BROKEN = Answer(breaks_off=True)


class _Tokens:
    """Gives the first token until it is told to forget it, then the second."""

    def __init__(self, failure: TeamsFailure | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self._failure = failure
        self._number = 1

    async def token(self, scope: str, *, tenant_id: str = "") -> str:
        self.asked.append((scope, tenant_id))
        if self._failure:
            raise self._failure
        return f"token-{self._number}"

    def forget(self, scope: str, token: str, *, tenant_id: str = "") -> None:
        self._number += 1


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer().open() as opened:
        yield opened


@pytest.fixture
async def graph(server: ScriptedServer) -> AsyncIterator[Graph]:
    opened = Graph.open(_Tokens(), base_url=server.url, file_hosts=FILE_HOSTS).of(patience_s=2.0)
    yield opened
    await opened.close()


def a_page(*ids: str, next: str | None = None, **more: Any) -> Answer:
    links = {"@odata.nextLink": next} if next else {}
    return told({"value": [{"id": id} for id in ids], **links, **more})


def answered(*statuses: int, **more: Any) -> Answer:
    """A batch, answered from the last to the first."""
    responses = [
        {"id": str(n), "status": status, "body": {"n": n}, **more}
        for n, status in enumerate(statuses)
    ]
    return told({"responses": responses[::-1]})


class TestAsking:
    async def test_the_token_is_for_graph_and_the_tenant_in_question(
        self, server: ScriptedServer
    ) -> None:
        tokens = _Tokens()
        graph = Graph.open(tokens, base_url=server.url).of("t1")

        await graph.get("users/1", params={"$select": "id,displayName", "$filter": "a eq 'b c'"})

        await graph.close()
        assert tokens.asked == [(f"{server.url}/.default", "t1")]
        [request] = server.requests
        assert request.token == "token-1"
        assert request.target == "/v1.0/users/1?$select=id,displayName&$filter=a%20eq%20'b%20c'"

    @pytest.mark.parametrize("trouble", [Answer(500), Answer(502), Answer(504), BROKEN])
    async def test_reading_is_repeated(
        self, server: ScriptedServer, graph: Graph, trouble: Answer
    ) -> None:
        server.answers(trouble, told({"id": "1"}))

        assert await graph.get("users/1") == {"id": "1"}

    @pytest.mark.parametrize("trouble", [Answer(500), Answer(504), BROKEN])
    async def test_what_may_have_been_done_is_not(
        self, server: ScriptedServer, graph: Graph, trouble: Answer
    ) -> None:
        server.answers(trouble)

        with pytest.raises(GraphFailure):
            await graph.post("subscriptions", {})
        assert len(server.requests) == 1

        server.answers(trouble, told({"value": []}))
        assert await graph.post("users/1/getMemberGroups", {}, only_reads=True) == {"value": []}

    @pytest.mark.parametrize("status", [429, 503])
    async def test_a_short_rest_is_waited_for_and_a_long_one_is_not(
        self, server: ScriptedServer, graph: Graph, status: int
    ) -> None:
        server.answers(Answer(status, headers={"Retry-After": "0.05"}), told({}))
        assert await graph.post("subscriptions", {}) == {}

        server.answers(Answer(status, headers={"Retry-After": "60"}), told({}))
        with pytest.raises(GraphFailure) as raised:
            await graph.get("users/1")
        assert raised.value.retry_after_s == 60

        # It is left in peace; what is behind another door is not.
        seen = len(server.requests)
        with pytest.raises(GraphFailure) as raised:
            await graph.get("users/2")
        assert raised.value.is_throttled
        assert len(server.requests) == seen
        assert await graph.get("groups/1") == {}

    async def test_refusals_are_not_repeated_and_tell_nothing_of_anybody(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        error = {"code": "Authorization_RequestDenied", "message": "amy@company.example may not"}
        server.answers(told({"error": error}, 403))

        with pytest.raises(GraphFailure) as raised:
            await graph.get("users/1")

        assert raised.value.is_denied
        assert str(raised.value) == "403 Authorization_RequestDenied"
        assert len(server.requests) == 1

    async def test_a_token_that_is_not_taken_any_more_is_replaced_once(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        server.answers(Answer(401), told({"id": "1"}))
        assert await graph.get("users/1") == {"id": "1"}
        assert [request.token for request in server.requests] == ["token-1", "token-2"]

        server.answers(Answer(401))
        with pytest.raises(GraphFailure) as raised:
            await graph.get("users/1")
        assert raised.value.is_denied
        assert len(server.requests) == 4

    @pytest.mark.parametrize(
        ("status", "code", "is_denied"),
        [
            (400, "Login unauthorized_client AADSTS700016", True),
            (401, "Login invalid_client AADSTS7000222", False),
            (0, "", False),
            (503, "", False),
            (429, "", False),
        ],
    )
    async def test_without_a_token_nothing_is_asked(
        self, server: ScriptedServer, status: int, code: str, is_denied: bool
    ) -> None:
        graph = Graph.open(_Tokens(TeamsFailure(status, code)), base_url=server.url)
        graph = graph.of(patience_s=0.0)

        with pytest.raises(GraphFailure) as raised:
            await graph.get("users/1")

        await graph.close()
        assert raised.value.is_denied == is_denied
        assert server.requests == []

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"\xff\xfe"])
    async def test_what_is_no_object_is_no_answer(
        self, server: ScriptedServer, graph: Graph, body: bytes
    ) -> None:
        server.answers(Answer(body=body))

        with pytest.raises(GraphFailure) as raised:
            await graph.of(patience_s=0.0).get("users/1")
        assert raised.value.status == 0

    async def test_redirects_are_not_followed(self, server: ScriptedServer, graph: Graph) -> None:
        server.answers(Answer(302, headers={"Location": f"{server.url}/elsewhere"}))

        with pytest.raises(GraphFailure):
            await graph.get("users/1")
        assert len(server.requests) == 1


class TestPages:
    async def test_all_are_read_with_the_same_headers(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        server.answers(a_page("1", "2", next=f"{server.url}/v1.0/users?$skiptoken=x"), a_page("3"))
        headers = {"ConsistencyLevel": "eventual"}

        items = [item async for item in graph.pages("users?$top=2", headers=headers)]

        assert [item["id"] for item in items] == ["1", "2", "3"]
        assert server.asked == ["GET /v1.0/users?$top=2", "GET /v1.0/users?$skiptoken=x"]
        assert all(r.headers["ConsistencyLevel"] == "eventual" for r in server.requests)

    @pytest.mark.parametrize(
        "link",
        [
            "https://evil.example/v1.0/users",
            "http://127.0.0.1:1/v1.0/users",
            "http://{host}@evil.example/",
            "https://{host}/v1.0/users",
            "//evil.example/users",
            "users?$skiptoken=x",
            7,
        ],
    )
    async def test_a_link_elsewhere_gets_no_token(
        self, server: ScriptedServer, graph: Graph, link: Any
    ) -> None:
        host = server.url.partition("//")[2]
        next = link.replace("{host}", host) if isinstance(link, str) else link
        server.answers(told({"value": [{"id": "1"}], "@odata.nextLink": next}))

        with pytest.raises(GraphFailure):
            _ = [item async for item in graph.pages("users")]
        assert len(server.requests) == 1
        if isinstance(next, str) and "://" in next:
            with pytest.raises(GraphFailure, match="foreignHost"):
                await graph.get(next)

    async def test_pages_that_turn_in_circles_or_hold_no_list_are_a_failure(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        server.answers(a_page("1", next=f"{server.url}/v1.0/users?$skiptoken=x"))
        with pytest.raises(GraphFailure, match="endlessPages"):
            _ = [item async for item in graph.pages("users")]

        for value in (None, {"id": 1}, [1]):
            server.answers(told({"value": value}))
            with pytest.raises(GraphFailure, match="noList"):
                _ = [item async for item in graph.pages("users")]

    async def test_changes_come_with_the_link_to_later_ones(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        link = f"{server.url}/v1.0/delta?token=1"
        server.answers(a_page("1", **{"@odata.deltaLink": link}))

        assert await graph.page("delta") == GraphPage([{"id": "1"}], delta_link=link)


class TestBatches:
    async def test_answers_come_in_the_order_of_the_questions_twenty_at_a_time(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        server.answers(answered(*[200] * 20), answered(200, 404))
        calls: list[str | GraphCall] = [f"users/{n}" for n in range(21)]
        calls.append(GraphCall("users/21/getMemberGroups", "POST", {"a": 1}))

        answers = await graph.batch(calls)

        assert [a["n"] for a in answers if isinstance(a, dict)] == [*range(20), 0]
        assert isinstance(answers[21], GraphFailure)
        assert answers[21].is_missing
        first, second = [request.json["requests"] for request in server.requests]
        assert first[7] == {"id": "7", "method": "GET", "url": "/users/7"}
        assert second[1] == {
            "id": "1",
            "method": "POST",
            "url": "/users/21/getMemberGroups",
            "body": {"a": 1},
            "headers": {"Content-Type": "application/json"},
        }

    async def test_only_what_was_too_much_is_asked_again(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        rest = {"id": "1", "status": 429, "headers": {"retry-after": "0.05"}}
        fine = {"id": "0", "status": 200, "body": {"n": 0}}
        again = {"id": "1", "status": 200, "body": {"n": 1}}
        server.answers(told({"responses": [rest, fine]}), told({"responses": [again]}))

        assert await graph.batch(["users/0", "users/1"]) == [{"n": 0}, {"n": 1}]
        assert [r["id"] for r in server.requests[1].json["requests"]] == ["1"]

    @pytest.mark.parametrize(
        "response",
        [
            None,
            {"id": "9", "status": 200, "body": {}},
            {"id": "0", "status": "200", "body": {}},
            {"id": "0", "status": 200, "body": [1]},
            {"id": "0", "status": 200},
            {"id": "0", "status": 302, "headers": {"Location": "https://evil.example"}},
            {"id": "0", "status": 500, "body": "?", "headers": 7},
        ],
    )
    async def test_what_is_not_answered_well_has_failed(
        self, server: ScriptedServer, graph: Graph, response: Any
    ) -> None:
        server.answers(told({"responses": [response]}))

        [answer] = await graph.batch(["users/0"])

        assert isinstance(answer, GraphFailure)
        assert not answer.is_missing

    async def test_a_batch_that_fails_fails_as_a_whole(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        server.answers(told({"error": {"code": "BadRequest"}}, 400))

        with pytest.raises(GraphFailure):
            await graph.batch(["users/0"])


class TestDownloads:
    async def test_the_token_goes_to_graph_alone(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        async with ScriptedServer().open() as files:
            graph = Graph(graph._wire, file_hosts=["127.0.0.1"])
            files.answers(Answer(body=b"content"))
            server.answers(Answer(302, headers={"Location": f"{files.url}/file?tempauth=1"}))

            assert await graph.download("drives/1/items/2/content", max_bytes=7) == b"content"

            assert server.requests[0].token == "token-1"
            assert "Authorization" not in files.requests[0].headers
            assert files.asked == ["GET /file?tempauth=1"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://company.sharepoint.com/file",
            "https://evil.example/file",
            "https://sharepoint.com.evil.example/file",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
        ],
    )
    async def test_nothing_is_fetched_from_elsewhere(
        self, server: ScriptedServer, graph: Graph, url: str
    ) -> None:
        with pytest.raises(GraphFailure, match="foreignHost"):
            await graph.download(url, max_bytes=9)

        server.answers(Answer(302, headers={"Location": url}))
        with pytest.raises(GraphFailure, match="foreignHost"):
            await graph.download("drives/1/items/2/content", max_bytes=9)

    async def test_what_is_too_large_is_left_where_it_is(
        self, server: ScriptedServer, graph: Graph
    ) -> None:
        server.answers(Answer(body=b"12345678"))

        with pytest.raises(GraphFailure, match="tooLarge"):
            await graph.download("drives/1/items/2/content", max_bytes=7)

    async def test_redirects_come_to_an_end(self, server: ScriptedServer, graph: Graph) -> None:
        server.answers(Answer(302, headers={"Location": f"{server.url}/again"}))

        with pytest.raises(GraphFailure, match="tooManyRedirects"):
            await graph.download("drives/1/items/2/content", max_bytes=7)


async def test_many_ask_over_one_session(server: ScriptedServer, graph: Graph) -> None:
    server.answers(Answer(body=json.dumps({"id": "1"}).encode()))

    found = await asyncio.gather(*(graph.of(f"t{n}").get("users/1") for n in range(50)))

    assert len(found) == len(server.requests) == 50
