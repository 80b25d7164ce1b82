"""Teams with several processes: a worker that is killed or stopped in mid-answer, and settings that are wrong."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.model_server import Fault, ModelServer
from tests.fakes.teams_api import Message, TeamsApi
from tests.installation import ShifuProcess
from tests.integration.test_processes import QUESTION, Site, client, redis
from tests.redis_servers import Server
from tests.teams_company import ANN, GENERAL, furnish, teams_settings

__all__ = ["client", "redis"]

# In Teams a line appears when it is whole.
ANSWER = "The garage opens at 7 [1].\n" * 6


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        furnish(api)
        yield api


def _settings(api: TeamsApi, model: ModelServer) -> dict[str, str]:
    teams = {
        f"SHIFU_TEAMS__{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in teams_settings(api).items()
    }
    return {**teams, "SHIFU_MODEL__BASE_URL": model.base_url, "SHIFU_WORK__IN_SERVE": "false"}


async def _takes_in(api: TeamsApi, site: Site, client: aiohttp.ClientSession) -> ShifuProcess:
    page = await site.start(client, "serve")
    api.bot_url = f"{page.url}/teams/messages"
    return page


async def _until_writing(api: TeamsApi, model: ModelServer, asked: Message) -> Message:
    """The app's message, when the model has been asked and the message says something."""

    def found() -> Message | None:
        if not any(request.messages for request in model.requests):
            return None
        return next(iter(_replies(api, asked)), None)

    return await api.until(found, timeout_s=30)


async def _until_finished(api: TeamsApi, asked: Message) -> Message:
    def found() -> Message | None:
        for message in _replies(api, asked):
            if not message.is_streaming and "opens at 7" in api.text_of(message) and message.ai:
                return message
        return None

    return await api.until(found, timeout_s=60)


def _replies(api: TeamsApi, asked: Message) -> list[Message]:
    return [m for m in api.from_app(asked.conversation) if m.id > asked.id]


@pytest.mark.parametrize("place", ["personal", GENERAL])
async def test_whoever_takes_over_goes_on_in_the_same_message(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession, api: TeamsApi, place: str
) -> None:
    async with ModelServer(ANSWER) as model:
        model.fail(Fault.HANG_IN_STREAM)
        async with Site(tmp_path, redis, **_settings(api, model)) as site:
            await _takes_in(api, site, client)
            first = await site.start(client, "work")
            asked = await api.says(ANN, place, QUESTION)
            begun = await _until_writing(api, model, asked)
            assert begun.is_streaming == (place == "personal")
            first.kill()

            await site.start(client, "work")

            answer = await _until_finished(api, asked)
            assert answer.id == begun.id
            assert answer.thread == (asked.id if place == GENERAL else None)
            assert _replies(api, asked) == [answer]


async def test_text_that_a_killed_worker_has_shown_stays_until_there_is_more(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession, api: TeamsApi
) -> None:
    async with ModelServer(ANSWER) as model:
        model.pause_s = 0.2
        model.fail(Fault.HANG_IN_STREAM)
        async with Site(tmp_path, redis, **_settings(api, model)) as site:
            await _takes_in(api, site, client)
            first = await site.start(client, "work")
            asked = await api.says(ANN, "personal", QUESTION)
            begun = await _until_writing(api, model, asked)
            await api.until(lambda: "opens at 7" in begun.text, timeout_s=30)
            first.kill()
            shown = begun.text

            await site.start(client, "work")

            answer = await _until_finished(api, asked)
            assert answer is begun
            texts = [str(version.get("text")) for version in answer.versions]
            since = texts[texts.index(shown) :]
            assert len(since) > 1
            assert all("opens at 7" in text for text in since)


async def test_a_worker_that_is_stopped_ends_its_answer_first(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession, api: TeamsApi
) -> None:
    async with ModelServer(ANSWER) as model:
        model.slow_s = 2.0
        model.fail(Fault.SLOW)
        async with Site(tmp_path, redis, **_settings(api, model)) as site:
            await _takes_in(api, site, client)
            worker = await site.start(client, "work")
            asked = await api.says(ANN, "personal", QUESTION)
            begun = await _until_writing(api, model, asked)
            assert begun.is_streaming

            code = await asyncio.to_thread(worker.terminate)

            assert code == 0
            assert _replies(api, asked) == [begun]
            assert not begun.is_streaming
            assert "opens at 7" in api.text_of(begun)
            assert site.queue()["unfinished"] == 0


async def test_what_a_stopped_worker_does_not_finish_another_ends_in_the_same_message(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession, api: TeamsApi
) -> None:
    async with ModelServer(ANSWER) as model:
        model.fail(Fault.HANG_IN_STREAM)
        settings = {**_settings(api, model), "SHIFU_WORK__DRAIN_S": "0.5"}
        async with Site(tmp_path, redis, **settings) as site:
            await _takes_in(api, site, client)
            first = await site.start(client, "work")
            asked = await api.says(ANN, "personal", QUESTION)
            begun = await _until_writing(api, model, asked)

            code = await asyncio.to_thread(first.terminate)
            await site.start(client, "work")

            answer = await _until_finished(api, asked)
            assert code == 0
            assert answer is begun
            assert _replies(api, asked) == [answer]


async def test_what_was_accepted_outlives_the_process_that_took_it_in(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession, api: TeamsApi
) -> None:
    async with ModelServer(ANSWER) as model, Site(tmp_path, redis, **_settings(api, model)) as site:
        page = await _takes_in(api, site, client)
        asked = await api.says(ANN, GENERAL, QUESTION)
        code = await asyncio.to_thread(page.terminate)

        await site.start(client, "work")

        answer = await _until_finished(api, asked)
        assert code == 0
        assert [d.status for d in api.deliveries] == [202]
        assert _replies(api, asked) == [answer]


async def test_a_secret_that_is_not_valid_ends_in_a_sentence(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession, api: TeamsApi
) -> None:
    async with ModelServer(ANSWER) as model:
        settings = {**_settings(api, model), "SHIFU_TEAMS__APP_PASSWORD": "not-the-secret"}
        async with Site(tmp_path, redis, **settings) as site:
            await _takes_in(api, site, client)
            worker = await site.start(client, "work")
            await api.says(ANN, "personal", QUESTION)
            async with asyncio.timeout(30):
                while "AADSTS7000215" not in worker.log:
                    await asyncio.sleep(0.2)

            assert "not-the-secret" not in worker.log
            assert "Traceback" not in worker.log


async def test_a_setting_that_is_missing_is_named(
    tmp_path: Path, redis: Server, api: TeamsApi
) -> None:
    async with ModelServer(ANSWER) as model:
        settings = {**_settings(api, model), "SHIFU_TEAMS__APP_PASSWORD": ""}
        site = Site(tmp_path, redis, **settings)

        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("shifu"),
            "serve",
            cwd=site.folder,
            env=site.environment,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)

        assert process.returncode == 2
        assert "SHIFU_TEAMS__APP_PASSWORD" in (out + err).decode()
        assert "Traceback" not in (out + err).decode()
