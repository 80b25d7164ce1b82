"""What the settings mean for Slack: which opt-ins, which installations."""

from adapters.settings import ConfigurationError, Settings
from adapters.slack.cached_installations import CachedInstallations
from adapters.slack.client import SlackApi
from adapters.slack.installations import Installations
from adapters.slack.permissions import OptIn
from adapters.slack.redis_installations import RedisInstallations
from adapters.slack.single_installation import SingleInstallation
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
