"""What the settings mean for Slack: which opt-ins, which installations."""

from typing import Any

from adapters.app import open_redis_alone
from adapters.settings import ConfigurationError, Settings
from adapters.slack.cached_installations import CachedInstallations
from adapters.slack.client import SlackApi
from adapters.slack.indexing import Indexing
from adapters.slack.installations import Installations
from adapters.slack.permissions import OptIn
from adapters.slack.redis_installations import RedisInstallations
from adapters.slack.redis_thread_ledger import RedisThreadLedger
from adapters.slack.single_installation import SingleInstallation
from bot.inbox import InMemoryInbox
from bot.redis_client import RedisClient


def slack_opt_ins(settings: Settings) -> frozenset[OptIn]:
    slack = settings.slack
    wanted = {
        OptIn.FOLLOW: bool(slack.follow_channels),
        OptIn.INDEX: bool(slack.index_channels),
        OptIn.LIVE_SEARCH: slack.live_search,
        OptIn.EMAIL: slack.match_email,
    }
    return frozenset(opt_in for opt_in, is_set in wanted.items() if is_set)


def slack_installations(
    settings: Settings, api: SlackApi, redis: RedisClient | None
) -> Installations:
    """
    The one that the bot token belongs to, or with a client id those in *redis*.

    Raises:
        ConfigurationError: If what installing into several workspaces needs is not set.
    """
    if not settings.slack.client_id:
        return SingleInstallation(api, settings.slack_bot_token, teams=settings.slack.teams)
    if redis is None:
        raise ConfigurationError(
            "SHIFU_SLACK__CLIENT_ID: the tokens of several workspaces are kept in Redis, and there is none"
        )
    return CachedInstallations(kept_installations(settings, redis))


def kept_installations(settings: Settings, redis: RedisClient) -> RedisInstallations:
    """Of several workspaces; raises `ConfigurationError` if a setting for them is missing."""
    slack = settings.slack
    keys = [key.get_secret_value() for key in slack.installation_keys]
    needed = {
        "SHIFU_SLACK__CLIENT_SECRET": slack.client_secret.get_secret_value(),
        "SHIFU_SLACK__INSTALLATION_KEYS": keys,
        "SHIFU_SLACK__TEAMS": slack.teams,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise ConfigurationError(
            f"{', '.join(missing)}: needed for several workspaces (SHIFU_SLACK__CLIENT_ID is set); "
            "docs/slack.md says what goes there"
        )
    return RedisInstallations(redis, tenant=settings.tenant, keys=keys)


async def index_status(settings: Settings) -> list[dict[str, Any]]:
    """
    Of each channel whose threads are documents: numbers, no texts.

    Raises:
        StateUnavailable: If Redis cannot be had.
    """
    async with open_redis_alone(settings) as redis:
        ledger = RedisThreadLedger(redis, tenant=settings.tenant)
        # Nothing is put into the inbox by looking.
        indexing = Indexing(ledger, InMemoryInbox(), channels=settings.slack.index_channels)
        return [
            {
                "channel": str(status.channel),
                "threads": status.threads,
                "readers": status.visibility.value if status.visibility else "nobody",
                "is_done": status.backfill is not None and status.backfill.is_done,
                "pages_read": status.backfill.pages if status.backfill else 0,
            }
            for status in await indexing.backfill_status()
        ]
