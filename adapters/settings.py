"""All settings, read once at start from the environment and from `shifu.toml`."""

import base64
import ipaddress
import json
import os
import tomllib
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from adapters.teams_settings import TeamsSettings
from adapters.web.guard import WebMode, is_origin
from retrieval.errors import ShifuError

ENV_PREFIX = "SHIFU_"
_KEY_BYTES = 32
_PORT = Annotated[int, Field(ge=0, le=65_535)]


class ConfigurationError(ShifuError):
    """A setting is wrong; the text names it and gives an example."""


class EmbeddingsProvider(StrEnum):
    AUTO = "auto"
    LOCAL = "local"
    OPENAI = "openai"
    NONE = "none"


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Group):
    base_url: str | None = Field(
        default=None,
        description="Address of an OpenAI-compatible server, ending in /v1. "
        "Unset, with a key: OpenAI. Unset, without a key: no model, answers are extracts.",
        examples=["http://localhost:8000/v1"],
    )
    name: str = Field(
        default="gpt-5-mini",
        min_length=1,
        description="The model to ask. Unset, with an address: the one that the server lists, if it is one.",
        examples=["qwen3-14b"],
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the model's server; `OPENAI_API_KEY` is read when this is unset.",
    )
    timeout_s: float = Field(
        default=60, gt=0, description="Longest time for one answer of the model.", examples=["60"]
    )
    input_price: float | None = Field(
        default=None,
        ge=0,
        description="US dollars for a million tokens that the model reads. Set with the next one, `/why` tells "
        "what an answer cost.",
        examples=["0.25"],
    )
    output_price: float | None = Field(
        default=None,
        ge=0,
        description="US dollars for a million tokens that the model writes.",
        examples=["2.00"],
    )


class EmbeddingsSettings(_Group):
    provider: EmbeddingsProvider = Field(
        default=EmbeddingsProvider.AUTO,
        description="Where vectors come from: `local` (in process, extra `local`), `openai` "
        "(an OpenAI-compatible server), `none` (words alone), `auto` (local if installed).",
        examples=["local"],
    )
    base_url: str | None = Field(
        default=None,
        description="Address of the embeddings server, ending in /v1, for `openai`.",
        examples=["http://localhost:8001/v1"],
    )
    name: str = Field(
        default="text-embedding-3-small",
        min_length=1,
        description="The embedding model, for `openai`.",
        examples=["bge-m3"],
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the embeddings server; `OPENAI_API_KEY` is read when this is unset.",
    )


class RedisSettings(_Group):
    url: SecretStr | None = Field(
        default=None,
        description="Address of Redis; also `redis+sentinel://HOST:26379,HOST:26379/SERVICE` and "
        "`redis+cluster://HOST:6379,HOST:6379`. Unset: a Redis of our own is started in the state folder.",
        examples=["redis://localhost:6379/0"],
    )
    session_ttl_s: int = Field(
        default=86_400,
        gt=0,
        description="Idle seconds until a conversation is forgotten.",
        examples=["86400"],
    )


class DirectorySettings(_Group):
    path: Path | None = Field(
        default=None,
        description="The file with people, groups and conversations (YAML or JSON).",
        examples=["examples/company/people.yaml"],
    )


class WeaviateSettings(_Group):
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+/?$",
        description="Address of Weaviate. Unset: documents lie in the state folder.",
        examples=["http://localhost:8080"],
    )
    grpc_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+/?$",
        description="Address of its gRPC port. Unset: port 50051 of the same host, with TLS if the other has it.",
        examples=["http://localhost:50051"],
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="Key of Weaviate.")
    timeout_s: float = Field(
        default=5, gt=0, description="Longest time for one search in Weaviate.", examples=["5"]
    )
    replicas: int = Field(
        default=1,
        gt=0,
        description="Copies that Weaviate keeps of each document, on as many nodes; read when the "
        "collections are made.",
        examples=["3"],
    )


class WorkSettings(_Group):
    slots: int = Field(
        default=100,
        gt=0,
        description="Questions that one process answers at once.",
        examples=["100"],
    )
    in_serve: bool = Field(
        default=True,
        description="`shifu serve` answers as well. False: only `shifu work` does.",
        examples=["false"],
    )
    port: _PORT = Field(
        default=8021,
        description="Port of `shifu work` for health checks; 0 takes a free one.",
        examples=["8021"],
    )
    max_tries: int = Field(
        default=5,
        gt=0,
        description="After so many failures a question is given up: its asker is told, and "
        "`shifu queue` lists it.",
        examples=["5"],
    )
    busy_above: int = Field(
        default=50,
        gt=0,
        description="With more questions waiting for a free slot than this, people are told that it "
        "takes longer.",
        examples=["50"],
    )
    drain_s: float = Field(
        default=20,
        ge=0,
        description="Seconds that running answers get when the process is stopped; what is not ready "
        "by then is put back, and another process goes on with it.",
        examples=["20"],
    )


class SyncSettings(_Group):
    paths: tuple[Path, ...] = Field(
        default=(),
        description="Files and folders that are kept up to date, as by `shifu ingest`.",
        examples=['["/var/lib/documents"]'],
    )
    acl: tuple[str, ...] = Field(
        default=(),
        description="Who may read documents in `paths` that do not say, as `shifu ingest --acl`.",
        examples=['["everyone"]'],
    )
    schedule: str | None = Field(
        default=None,
        description="When, as five fields of cron in UTC. One process does it, however many run. "
        "Unset: never.",
        examples=["*/15 * * * *"],
    )

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, schedule: str | None) -> str | None:
        if schedule is not None:
            try:
                CronSim(schedule, datetime.now(UTC))
            except CronSimError as error:
                raise ValueError(f"is no schedule of cron ({error})") from error
        return schedule


class SlackSettings(_Group):
    bot_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bot token of the app in one workspace (`xoxb-…`); `SLACK_BOT_TOKEN` is read when this "
        "is unset.",
    )
    app_token: SecretStr = Field(
        default=SecretStr(""),
        description="App-level token (`xapp-…`): events come over Socket Mode, no public address is needed; "
        "`SLACK_APP_TOKEN` is read when this is unset.",
    )
    signing_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Signing secret of the app: events come by HTTP to /slack/events; "
        "`SLACK_SIGNING_SECRET` is read when this is unset.",
    )
    api_url: str = Field(
        default="",
        pattern=r"^(https?://[^?#\s]+)?$",
        description="Another address of Slack's Web API; `SLACK_API_URL` is read when this is unset.",
        examples=["https://slack.com/api/"],
    )
    teams: tuple[str, ...] = Field(
        default=(),
        description="Ids of the workspaces (`T…`) and organisations (`E…`) that are ours. Empty: the one that "
        "the bot token belongs to.",
        examples=['["T0123456789"]'],
    )
    client_id: str = Field(
        default="",
        description="For installing into several workspaces: client id of the app.",
        examples=["1234567890.1234567890"],
    )
    client_secret: SecretStr = Field(
        default=SecretStr(""), description="For several workspaces: client secret of the app."
    )
    installation_keys: tuple[SecretStr, ...] = Field(
        default=(),
        description="For several workspaces: keys that their tokens are encrypted with in Redis, the newest "
        "first; `shifu slack key` makes one.",
    )
    members_are_employees: bool = Field(
        default=True,
        description="Full members of the workspace whom the directory does not know may read what every "
        "employee may, up to `internal`. False: public documents only.",
        examples=["false"],
    )
    match_email: bool = Field(
        default=False,
        description="Members are found in the directory by their `email`, if Slack says that it is confirmed.",
        examples=["true"],
    )
    user_groups: tuple[str, ...] = Field(
        default=(),
        description="Handles or ids of the Slack user groups whose members are in the group of that name; `*` "
        "for all. Whoever may edit a user group in Slack then decides what its members may read.",
        examples=['["engineering"]'],
    )
    members_only_channels: tuple[str, ...] = Field(
        default=(),
        description="Ids of public channels in which answers are written for the members alone, not for "
        "everyone who may join.",
        examples=['["C0123456789"]'],
    )
    follow_channels: tuple[str, ...] = Field(
        default=(),
        description="Ids of channels in which the bot answers follow-up questions in its threads without being "
        "mentioned again; `*` for all.",
        examples=['["C0123456789"]'],
    )
    index_channels: tuple[str, ...] = Field(
        default=(),
        description="Ids of channels whose threads become documents, readable by who reads the channel. Needs "
        "the bot to be invited.",
        examples=['["C0123456789"]'],
    )
    live_search: bool = Field(
        default=False,
        description="In private answers, also search Slack itself with the asker's own rights; nothing "
        "of it is kept.",
        examples=["true"],
    )
    streaming: bool = Field(
        default=True,
        description="Answers appear as they are written. False: in whole.",
        examples=["false"],
    )

    @field_validator("installation_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in keys:
            try:
                is_key = len(base64.urlsafe_b64decode(key.get_secret_value())) == _KEY_BYTES
            except ValueError:
                is_key = False
            if not is_key:
                raise ValueError("holds something that is no key; make one with: shifu slack key")
        return keys


class WebSettings(_Group):
    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on.", examples=["0.0.0.0"]
    )
    port: _PORT = Field(
        default=8020, description="Port to listen on; 0 takes a free one.", examples=["8020"]
    )
    mode: WebMode = Field(
        default=WebMode.PLAYGROUND,
        description="`playground`: the visitor acts as anyone in the directory, on this machine "
        "only. `header`: a sign-in proxy names the user.",
        examples=["header"],
    )
    user_header: str = Field(
        default="X-Forwarded-User",
        min_length=1,
        description="Header that holds the user's id in the mode `header`.",
        examples=["X-Forwarded-User"],
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Networks whose user header is believed.",
        examples=['["10.0.0.0/8"]'],
    )
    public_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins under which the proxy serves the page. Empty: as the Host header says.",
        examples=['["https://shifu.example.com"]'],
    )
    frame_ancestors: tuple[str, ...] = Field(
        default=(),
        description="Origins of the pages that may embed the chat.",
        examples=['["https://intranet.example.com"]'],
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks

    @field_validator("public_origins", "frame_ancestors")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not is_origin(origin):
                raise ValueError(f"{origin!r} is no origin such as 'https://shifu.example.com'")
        return origins


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(
        default=Path("~/.local/share/shifu"),
        description="Folder for everything that is kept: documents, conversations, logs.",
        examples=["/var/lib/shifu"],
    )
    tenant: str = Field(
        default="default",
        pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$",
        description="Id of the organisation: lower-case letters, digits and inner hyphens.",
        examples=["qinglan"],
    )
    turn_timeout_s: float = Field(
        default=90, gt=0, description="Longest time for one reply.", examples=["90"]
    )
    questions_per_minute: int = Field(
        default=30, gt=0, description="More from one person are asked to wait.", examples=["30"]
    )
    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="What is logged: debug, info, warning or error.",
        examples=["warning"],
    )
    admins: tuple[str, ...] = Field(
        default=(),
        description="Ids of the people who see the queue, the unanswered questions and the state of the index.",
        examples=['["amy"]'],
    )
    directory: DirectorySettings = DirectorySettings()
    redis: RedisSettings = RedisSettings()
    model: ModelSettings = ModelSettings()
    embeddings: EmbeddingsSettings = EmbeddingsSettings()
    weaviate: WeaviateSettings = WeaviateSettings()
    work: WorkSettings = WorkSettings()
    sync: SyncSettings = SyncSettings()
    slack: SlackSettings = SlackSettings()
    teams: TeamsSettings = TeamsSettings()
    web: WebSettings = WebSettings()

    @property
    def home_folder(self) -> Path:
        return self.home.expanduser().absolute()

    @property
    def store_folder(self) -> Path:
        return self.home_folder / "store" / self.tenant

    @property
    def where_documents_are(self) -> str:
        """For people to read."""
        return self.weaviate.url or str(self.store_folder)

    @property
    def redis_folder(self) -> Path:
        return self.home_folder / "redis"

    @property
    def has_model(self) -> bool:
        return self.model.base_url is not None or bool(self.model_key)

    @property
    def model_key(self) -> str:
        return self.model.api_key.get_secret_value() or os.environ.get("OPENAI_API_KEY", "")

    @property
    def embeddings_key(self) -> str:
        return self.embeddings.api_key.get_secret_value() or os.environ.get("OPENAI_API_KEY", "")

    @property
    def slack_bot_token(self) -> str:
        return self.slack.bot_token.get_secret_value() or os.environ.get("SLACK_BOT_TOKEN", "")

    @property
    def slack_app_token(self) -> str:
        return self.slack.app_token.get_secret_value() or os.environ.get("SLACK_APP_TOKEN", "")

    @property
    def slack_signing_secret(self) -> str:
        secret = self.slack.signing_secret.get_secret_value()
        return secret or os.environ.get("SLACK_SIGNING_SECRET", "")

    @property
    def slack_api_url(self) -> str:
        """Ends in a slash, as the SDK joins it."""
        url = self.slack.api_url or os.environ.get("SLACK_API_URL") or "https://slack.com/api/"
        return url if url.endswith("/") else url + "/"

    @property
    def has_slack(self) -> bool:
        return bool(self.slack_bot_token or self.slack.client_id)

    @property
    def has_teams(self) -> bool:
        return self.teams.is_on

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = settings_file()
        toml = (TomlConfigSettingsSource(settings_cls, file),) if file else ()
        return (init_settings, env_settings, *toml)


def settings_file() -> Path | None:
    """`shifu.toml` in the working folder, or the file that `SHIFU_CONFIG` names."""
    named = os.environ.get("SHIFU_CONFIG")
    path = Path(named) if named else Path("shifu.toml")
    if named and not path.is_file():
        raise ConfigurationError(
            f"SHIFU_CONFIG: there is no file {named!r}; for example SHIFU_CONFIG=/etc/shifu.toml"
        )
    return path if path.is_file() else None


def load_settings() -> Settings:
    """
    Raises:
        ConfigurationError: Naming each wrong setting, what it must be, and an example.
    """
    if unknown := _unknown_variables():
        raise ConfigurationError(
            f"There is no setting {', '.join(unknown)}; docs/configuration.md lists them all."
        )
    try:
        return Settings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{settings_file()}: is no valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigurationError(
            "\n".join(_explained(tuple(e["loc"]), e["msg"]) for e in error.errors())
        ) from None
    except ValueError:
        # A list in the environment that is no JSON; the library names its group only.
        raise ConfigurationError(
            "\n".join(_explained((name,), "must be written in JSON") for name in _broken_lists())
        ) from None


def all_settings() -> dict[str, tuple[str, str, str]]:
    """Every setting: default, description and example by its environment variable."""
    listed: dict[str, tuple[str, str, str]] = {}
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            for inner, inner_field in group.model_fields.items():
                listed[f"{ENV_PREFIX}{name}__{inner}".upper()] = _facts(inner_field)
        else:
            listed[f"{ENV_PREFIX}{name}".upper()] = _facts(field)
    return listed


def _facts(field: object) -> tuple[str, str, str]:
    default = getattr(field, "default", None)
    if isinstance(default, SecretStr) or default is None:
        shown = ""
    elif isinstance(default, tuple | dict):
        shown = ", ".join(map(str, default))
    else:
        shown = str(default)
    examples = getattr(field, "examples", None) or [""]
    return shown, str(getattr(field, "description", "")), str(examples[0])


def _explained(location: tuple[int | str, ...], problem: str) -> str:
    name = "__".join(str(part) for part in location).upper()
    name = name if name.startswith(ENV_PREFIX) else ENV_PREFIX + name
    known = all_settings()
    while name not in known and "__" in name:
        name = name.rpartition("__")[0]
    example = known.get(name, ("", "", ""))[2]
    hint = f"; for example {name}={example}" if example else ""
    return f"{name}: {problem[0].lower()}{problem[1:]}{hint}"


def _unknown_variables() -> list[str]:
    # The library passes over what it does not know; a typo must not pass silently.
    known = {*all_settings(), "SHIFU_CONFIG"}
    ours = (v for v in os.environ if v.upper().startswith(ENV_PREFIX))
    return sorted(v for v in ours if v.upper() not in known)


def _broken_lists() -> list[str]:
    lists = {
        f"{ENV_PREFIX}{group}__{n}".upper()
        for group, fields in (
            ("WEB", WebSettings),
            ("SYNC", SyncSettings),
            ("SLACK", SlackSettings),
            ("TEAMS", TeamsSettings),
        )
        for n, f in fields.model_fields.items()
        if isinstance(f.default, tuple | dict)
    }
    return sorted(v for v in os.environ if v.upper() in lists and not _is_json(os.environ[v]))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
