"""Checks an installation part by part, and says how to mend what is wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from adapters.app import open_directory, open_inbox, open_knowledge, open_redis_alone
from adapters.finding import Finding
from adapters.settings import Settings
from bot.embedded_redis import EmbeddedRedis, url_of_running
from bot.errors import StateUnavailable
from bot.redis_client import open_redis
from bot.redis_state import RedisState
from retrieval.errors import ShifuError
from retrieval.models import ModelMessage, Role

_CHECK_TIMEOUT_S = 30
_EMBEDDED_CHUNKS = 300_000


async def examine(settings: Settings) -> list[Finding]:
    """All checks, each by itself: one failing part does not hide another."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[Finding]]]] = [
        ("state folder", _home),
        ("documents", _store),
        ("model", _model),
        ("directory", _directory),
        ("redis", _redis),
        ("queue", _queue),
    ]
    findings = []
    for part, check in checks:
        findings += await _findings(part, _only(check(settings)))
    findings += await _findings("slack", _slack(settings))
    return findings + await _findings("teams", _teams(settings))


async def _findings(part: str, checking: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await checking
    except ShifuError as error:
        return [Finding(part, False, str(error))]
    except TimeoutError:
        return [Finding(part, False, f"no answer within {_CHECK_TIMEOUT_S} s")]
    except OSError as error:
        return [Finding(part, False, f"{error.strerror or error}")]


async def _only(checking: Awaitable[Finding]) -> list[Finding]:
    return [await checking]


async def _home(settings: Settings) -> Finding:
    folder = settings.home_folder
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding(
            "state folder",
            False,
            f"{folder}: cannot be written ({error.strerror}); set SHIFU_HOME to a folder of yours",
        )
    return Finding("state folder", True, str(folder))


async def _store(settings: Settings) -> Finding:
    async with open_knowledge(settings) as knowledge:
        counts = await knowledge.store.counts()
        embedder = knowledge.embedder.name if knowledge.embedder else "none: words alone"
        if knowledge.embedder:
            await knowledge.embedder.embed(["ready?"])
    if not counts.documents:
        return Finding("documents", False, "none yet; add some with: shifu ingest PATH")
    text = (
        f"{counts.documents} documents, {counts.chunks} chunks in {settings.where_documents_are}; "
        f"vectors: {embedder}"
    )
    if counts.chunks_without_vector and embedder != "none: words alone":
        missing = counts.chunks_without_vector
        return Finding(
            "documents", False, f"{text}; {missing} without a vector: run shifu ingest again"
        )
    if counts.chunks > _EMBEDDED_CHUNKS and settings.weaviate.url is None:
        return Finding(
            "documents",
            False,
            f"{text}; that is more than the embedded store is good for ({_EMBEDDED_CHUNKS:,}). Set "
            "SHIFU_WEAVIATE__URL and move them: shifu store copy",
        )
    return Finding("documents", True, text)


async def _model(settings: Settings) -> Finding:
    if not settings.has_model:
        return Finding("model", None, "none; answers are extracts (set SHIFU_MODEL__BASE_URL)")
    async with open_knowledge(settings) as knowledge:
        assert knowledge.model is not None
        async for _ in knowledge.model.stream(
            [ModelMessage(Role.USER, "Say: ready")], max_tokens=16
        ):
            pass
    return Finding("model", True, knowledge.model.name)


async def _directory(settings: Settings) -> Finding:
    directory = await asyncio.to_thread(open_directory, settings)
    people, rooms = await directory.people(), await directory.rooms()
    return Finding("directory", True, f"{len(people)} people, {len(rooms)} conversations")


async def _redis(settings: Settings) -> Finding:
    if settings.redis.url is not None:
        state = RedisState(
            open_redis(settings.redis.url.get_secret_value()), tenant=settings.tenant
        )
        try:
            await state.check()
        finally:
            await state.close()
        return Finding("redis", True, "answers")
    if url_of_running(settings.redis_folder):
        return Finding("redis", True, f"our own, in {settings.redis_folder}, in use right now")
    own = EmbeddedRedis(settings.redis_folder)
    try:
        own.start()
    except StateUnavailable as error:
        return Finding("redis", False, str(error))
    own.stop()
    return Finding("redis", True, f"our own, in {settings.redis_folder}")


async def _queue(settings: Settings) -> Finding:
    async with open_inbox(settings) as inbox:
        state = await inbox.state()
    text = f"{state.waiting} waiting, the oldest for {state.oldest_age_s:.0f} s"
    if state.dead:
        return Finding("queue", False, f"{text}; {state.dead} given up: see shifu queue")
    return Finding("queue", True, text)


async def _slack(settings: Settings) -> list[Finding]:
    if not settings.has_slack:
        return [Finding("slack", None, "off; docs/slack.md tells how to begin")]
    # Here, since nobody without Slack should wait for its libraries.
    from adapters.slack.checks import SlackExpectations, check_slack
    from adapters.slack.client import SlackApi
    from adapters.slack_setup import kept_installations, slack_installations, slack_opt_ins

    slack = settings.slack
    named = {
        "SHIFU_SLACK__FOLLOW_CHANNELS": slack.follow_channels,
        "SHIFU_SLACK__INDEX_CHANNELS": slack.index_channels,
    }
    expected = SlackExpectations(
        app_token=settings.slack_app_token,
        signing_secret=settings.slack_signing_secret,
        opt_ins=slack_opt_ins(settings),
        user_groups=slack.user_groups,
        channels=[(channel, name) for name, channels in named.items() for channel in channels],
    )
    async with AsyncExitStack() as open_things:
        api = SlackApi(settings.slack_api_url)
        open_things.push_async_callback(api.close)
        redis = None
        findings = []
        if slack.client_id:
            redis = await open_things.enter_async_context(open_redis_alone(settings))
            if lost := await kept_installations(settings, redis).unreadable():
                text = f"{', '.join(lost)}: encrypted with a key that SHIFU_SLACK__INSTALLATION_KEYS lacks"
                findings.append(Finding("slack", False, f"{text}; add it, or install again there"))
        installations = slack_installations(settings, api, redis)
        return findings + await check_slack(api, installations, expected)


async def _teams(settings: Settings) -> list[Finding]:
    if not settings.teams.is_on:
        return [Finding("teams", None, "off; docs/teams.md tells how to begin")]
    # Here, since nobody without Teams should wait for its libraries.
    import aiohttp

    from adapters.teams.checks import TeamsExpectations, check_teams
    from adapters.teams_app import bot_tokens, connector_scope
    from adapters.teams_setup import teams_opt_ins

    teams = settings.teams
    expected = TeamsExpectations(
        app_id=teams.app_id,
        tenants=sorted(teams.our_tenants),
        keys_url=teams.keys_url,
        graph_url=teams.graph_url if teams.use_graph else "",
        opt_ins=teams_opt_ins(settings),
        scope=connector_scope(settings),
    )
    tokens = bot_tokens(settings)
    async with AsyncExitStack() as open_things:
        http = await open_things.enter_async_context(aiohttp.ClientSession(trust_env=True))
        if tokens is not None:
            open_things.push_async_callback(tokens.close)
        return await check_teams(http, tokens, expected)
