"""Slack with several processes: a worker that is killed in the middle of an answer, and settings that are wrong."""

import asyncio
import sys
from pathlib import Path

import aiohttp

from tests.fakes.model_server import Fault, ModelServer
from tests.fakes.slack_api import Message, SlackApi
from tests.integration.test_processes import QUESTION, Site, client, redis
from tests.redis_servers import Server
from tests.slack_company import furnish

__all__ = ["client", "redis"]

ANSWER = "The garage opens at 7 [1]."


def _settings(api: SlackApi, model: ModelServer) -> dict[str, str]:
    return {
        "SHIFU_SLACK__BOT_TOKEN": "xoxb-1",
        "SHIFU_SLACK__APP_TOKEN": api.app_token,
        "SHIFU_SLACK__API_URL": api.url,
        "SHIFU_MODEL__BASE_URL": model.base_url,
        "SHIFU_WORK__IN_SERVE": "false",
    }


async def until_finished(api: SlackApi) -> Message:
    def found() -> Message | None:
        for message in api.from_app("CGEN"):
            if not message.is_streaming and "opens at 7" in api.text_of(message):
                return message
        return None

    message = await api.until(found, timeout_s=60)
    assert message is not None
    return message


async def test_whoever_takes_over_goes_on_in_the_same_message(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession
) -> None:
    async with SlackApi() as api, ModelServer(ANSWER) as model:
        furnish(api)
        model.fail(Fault.HANG_IN_STREAM)
        async with Site(tmp_path, redis, **_settings(api, model)) as site:
            await site.start(client, "serve")
            first = await site.start(client, "work")
            await api.connected()
            asked = await api.mention("U1", "CGEN", QUESTION)
            begun = await api.until(lambda: next(iter(api.from_app("CGEN")), None), timeout_s=30)
            await api.until(lambda: [r for r in model.requests if r.messages] or None)
            first.kill()

            await site.start(client, "work")

            answer = await until_finished(api)
            assert answer.ts == begun.ts
            assert answer.thread_ts == asked.ts
            assert api.from_app("CGEN") == [answer]


async def test_a_token_that_is_not_valid_ends_in_a_sentence(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession
) -> None:
    async with SlackApi() as api, ModelServer(ANSWER) as model:
        furnish(api)
        settings = {**_settings(api, model), "SHIFU_SLACK__BOT_TOKEN": "xoxb-wrong"}
        async with Site(tmp_path, redis, **settings) as site:
            page = await site.start(client, "serve")
            await api.connected()
            await api.mention("U1", "CGEN", QUESTION)
            async with asyncio.timeout(30):
                while "not valid" not in page.log:
                    await asyncio.sleep(0.2)

            assert "xoxb-wrong" not in page.log
            assert "Traceback" not in page.log


async def test_a_setting_that_is_missing_is_named(tmp_path: Path, redis: Server) -> None:
    missing = "SHIFU_SLACK__APP_TOKEN"
    async with SlackApi() as api, ModelServer(ANSWER) as model:
        settings = {**_settings(api, model), missing: ""}
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
        assert missing in (out + err).decode()
        assert "Traceback" not in (out + err).decode()
