"""Settings of Microsoft Teams."""

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from retrieval.access import Level

FILE_HOSTS = (".sharepoint.com", ".sharepoint.us", ".svc.ms", ".1drv.com")
"""Where files of SharePoint and OneDrive lie; Graph sends us there, too, for their content."""

_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CHANNEL = r"19:[\w.\-]+@thread\.(tacv2|skype)"
_ADDRESS = r"^(https?://[^?#\s]+)?$"
_EXAMPLE = "00000000-0000-0000-0000-000000000000"


class SharePointSettings(BaseModel):
    """A site or library whose documents are brought in; docs/sharepoint.md tells what each part means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    level: Level = Level.INTERNAL
    organization_links: bool = False
    everyone: bool = False
    site_groups: dict[str, str] = {}

    @field_validator("level", mode="before")
    @classmethod
    def _is_level(cls, level: object) -> object:
        if not isinstance(level, str):
            return level
        try:
            return Level[level.upper()]
        except KeyError:
            names = ", ".join(known.name.lower() for known in Level)
            raise ValueError(f"{level!r} is no level; there are {names}") from None

    @field_validator("name")
    @classmethod
    def _is_plain(cls, name: str) -> str:
        return name.strip().removeprefix("sharepoint:")

    @field_validator("site_groups")
    @classmethod
    def _are_groups(cls, groups: dict[str, str]) -> dict[str, str]:
        return {name: _id(id) for name, id in groups.items()}


class TeamsSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    app_id: str = Field(
        default="",
        pattern=rf"^({_GUID})?$",
        description="Application (client) id of the bot's Entra app. Unset: no Teams.",
        examples=[_EXAMPLE],
    )
    app_tenant_id: str = Field(
        default="",
        pattern=rf"^({_GUID})?$",
        description="Directory (tenant) id in which the app is registered.",
        examples=[_EXAMPLE],
    )
    app_password: SecretStr = Field(
        default=SecretStr(""), description="Client secret of the app; a certificate is better."
    )
    certificate: Path | None = Field(
        default=None,
        description="Instead of a secret: PEM file with the private key and the certificate.",
        examples=["/etc/shifu/teams.pem"],
    )
    managed_identity: bool = Field(
        default=False,
        description="Instead of a secret: on Azure, the user-assigned managed identity whose client id is the app id.",
        examples=["true"],
    )
    tenants: tuple[str, ...] = Field(
        default=(),
        description="Ids of the Entra tenants that are ours. Empty: the app's own.",
        examples=[f'["{_EXAMPLE}"]'],
    )
    use_graph: bool = Field(
        default=True,
        description="Ask Microsoft Graph who people are, for their groups, and who reads private and shared channels. "
        "False: only people whom the directory names by `teams` are known.",
        examples=["false"],
    )
    members_are_employees: bool = Field(
        default=True,
        description="Members of our tenants whom the directory does not know may read what every employee "
        "may, up to `internal`. False: public documents only. Guests never are.",
        examples=["false"],
    )
    groups: dict[str, str] = Field(
        default={},
        description="Which Entra group a group of the documents' access lists is: our name, its object id.",
        examples=[f'{{"engineering": "{_EXAMPLE}"}}'],
    )
    members_only_teams: tuple[str, ...] = Field(
        default=(),
        description="Entra group ids of teams in which answers are written for the members alone, though "
        "anyone in the organisation may join.",
        examples=[f'["{_EXAMPLE}"]'],
    )
    notifications_url: str = Field(
        default="",
        pattern=_ADDRESS,
        description="Public address of /teams/notifications: Graph tells changes of groups and people at once, "
        "instead of us asking again after minutes.",
        examples=["https://shifu.example.com/teams/notifications"],
    )
    follow_teams: tuple[str, ...] = Field(
        default=(),
        description="Entra group ids of teams in whose channels the bot answers follow-up questions in its threads "
        "without being mentioned again; `*` for all. Needs the permission to read channel messages.",
        examples=[f'["{_EXAMPLE}"]'],
    )
    index_channels: tuple[str, ...] = Field(
        default=(),
        description="Channels whose threads become documents, readable by their members: `<team>/<channel>`, or the "
        "link that Teams gives to the channel. Needs the permission to read channel messages.",
        examples=[f'["{_EXAMPLE}/19:0123456789abcdef@thread.tacv2"]'],
    )
    sharepoint: tuple[SharePointSettings, ...] = Field(
        default=(),
        description="Sites and document libraries of SharePoint whose documents are brought in, with the rights they "
        "have there.",
        examples=['[{"name": "contoso.sharepoint.com/sites/hr"}]'],
    )
    sharepoint_schedule: str = Field(
        default="*/15 * * * *",
        description="When SharePoint is looked at again, as five fields of cron in UTC.",
        examples=["*/15 * * * *"],
    )
    streaming: bool = Field(
        default=True,
        description="In personal chats answers appear as they are written. False: in whole.",
        examples=["false"],
    )
    development: bool = Field(
        default=False,
        description="Without an app id: take what comes from this machine without a token, as Microsoft's "
        "Agents Playground sends it. Only on loopback.",
        examples=["true"],
    )
    connector_hosts: tuple[str, ...] = Field(
        default=("smba.trafficmanager.net", ".botframework.com"),
        description="Hosts of the Bot Connector, which get our token; with a dot in front, all below it.",
        examples=['["smba.infra.gcc.teams.microsoft.com"]'],
    )
    file_hosts: tuple[str, ...] = Field(
        default=FILE_HOSTS,
        description="Hosts that files are fetched from; with a dot in front, all below it.",
        examples=['[".sharepoint.com"]'],
    )
    login_url: str = Field(
        default="https://login.microsoftonline.com",
        pattern=_ADDRESS,
        description="Where the app signs in; another one in national clouds.",
        examples=["https://login.microsoftonline.us"],
    )
    graph_url: str = Field(
        default="https://graph.microsoft.com",
        pattern=_ADDRESS,
        description="Address of Microsoft Graph; another one in national clouds.",
        examples=["https://graph.microsoft.us"],
    )
    keys_url: str = Field(
        default="https://login.botframework.com/v1/.well-known/keys",
        pattern=_ADDRESS,
        description="Keys that sign what comes from Teams; another address in national clouds.",
        examples=["https://login.botframework.azure.us/v1/.well-known/keys"],
    )
    token_issuer: str = Field(
        default="https://api.botframework.com",
        description="Who signs what comes from Teams, and whom our own tokens are for.",
        examples=["https://api.botframework.us"],
    )

    @field_validator("tenants", "members_only_teams")
    @classmethod
    def _are_ids(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_id(id) for id in ids)

    @field_validator("sharepoint_schedule")
    @classmethod
    def _is_cron(cls, schedule: str) -> str:
        try:
            CronSim(schedule, datetime.now(UTC))
        except CronSimError as error:
            raise ValueError(f"is no schedule of cron ({error})") from error
        return schedule

    @field_validator("follow_teams")
    @classmethod
    def _are_ids_or_all(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(id if id == "*" else _id(id) for id in ids)

    @field_validator("index_channels")
    @classmethod
    def _are_channels(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(_channel, names)))

    @field_validator("groups")
    @classmethod
    def _are_groups(cls, groups: dict[str, str]) -> dict[str, str]:
        return {name: _id(id) for name, id in groups.items()}

    @field_validator("app_id", "app_tenant_id")
    @classmethod
    def _in_lower_case(cls, id: str) -> str:
        return id.lower()

    @property
    def is_on(self) -> bool:
        return bool(self.app_id) or self.development

    @property
    def our_tenants(self) -> frozenset[str]:
        return frozenset(self.tenants or (self.app_tenant_id,)) - {""}


def _id(text: str) -> str:
    if not re.fullmatch(_GUID, text):
        raise ValueError(f"{text!r} is no id of Entra, such as {_EXAMPLE}")
    return text.lower()


def _channel(text: str) -> str:
    """`<team>/<channel>`, also from the link to a channel, which holds both."""
    address = urlsplit(text.strip())
    group, _, channel = text.strip().partition("/")
    if address.scheme:
        parts = [unquote(part) for part in address.path.split("/")]
        group = parse_qs(address.query).get("groupId", [""])[0]
        channel = next((part for part in parts if part.startswith("19:")), "")
    if not re.fullmatch(_CHANNEL, channel) or not re.fullmatch(_GUID, group):
        raise ValueError(
            f"{text!r} is no channel, such as {_EXAMPLE}/19:0123456789abcdef@thread.tacv2, and no link to one"
        )
    return f"{group.lower()}/{channel}"
