"""What Slack tells about people, channels and user groups, read into values. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Self

from bot.versioned_json import VersionedJson

_json = VersionedJson(1)
_EXTERNAL = (
    "is_ext_shared",
    "is_pending_ext_shared",
    "pending_shared",
    "pending_connected_team_ids",
)


@dataclass(frozen=True, slots=True)
class Account:
    """
    Somebody's account, as the workspace sees it that was asked.

    Attributes:
        home: Where the account belongs: the organisation on Enterprise Grid, else the workspace.
        teams: The workspaces it is in, as far as they are told.
        email: Empty unless Slack says that it is confirmed.
        is_stranger: From elsewhere, and no channel is shared with them.
        is_guest: Of one channel or of several.
    """

    id: str
    home: str
    teams: tuple[str, ...]
    name: str
    title: str = ""
    email: str = ""
    is_deleted: bool = False
    is_stranger: bool = False
    is_bot: bool = False
    is_guest: bool = False

    @classmethod
    def of(cls, user: Any) -> Self | None:
        """None for what is no user, or does not say where they belong."""
        user, profile = _mapping(user), _mapping(_mapping(user).get("profile"))
        in_enterprise = _mapping(user.get("enterprise_user"))
        team = _text(user.get("team_id")) or _text(profile.get("team"))
        home = _text(in_enterprise.get("enterprise_id")) or team
        id = _text(user.get("id"))
        if not id or not home:
            return None
        teams = dict.fromkeys([team, *_texts(in_enterprise.get("teams"))])
        name = _text(profile.get("real_name")) or _text(user.get("real_name"))
        is_confirmed = user.get("is_email_confirmed") is True
        return cls(
            id=id,
            home=home,
            teams=tuple(t for t in teams if t),
            name=name or _text(user.get("name")) or id,
            title=_text(profile.get("title")),
            email=_text(profile.get("email")) if is_confirmed else "",
            is_deleted=bool(user.get("deleted")),
            is_stranger=bool(user.get("is_stranger")),
            # The one that speaks for Slack itself is no bot by its flag.
            is_bot=bool(user.get("is_bot")) or id == "USLACKBOT",
            is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        )

    def belongs_to(self, ours: frozenset[str]) -> bool:
        return self.home in ours or not ours.isdisjoint(self.teams)

    def strictest_with(self, other: "Account | None") -> "Account":
        """The same account told of twice: whatever either says against it holds."""
        if other is None:
            return self
        return replace(
            self,
            teams=tuple(dict.fromkeys([*other.teams, *self.teams])),
            email=self.email if self.email == other.email else "",
            is_deleted=self.is_deleted or other.is_deleted,
            is_stranger=self.is_stranger or other.is_stranger,
            is_bot=self.is_bot or other.is_bot,
            is_guest=self.is_guest or other.is_guest,
        )

    @staticmethod
    def encode(account: "Account | None") -> str:
        return _json.encode({"account": asdict(account) if account else None})

    @classmethod
    def decode(cls, text: str) -> Self | None:
        values = _json.decode(text)["account"]
        return cls(**{**values, "teams": tuple(values["teams"])}) if values else None


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """
    Attributes:
        is_external: People of another organisation read it, or are invited to.
    """

    name: str
    is_direct: bool = False
    is_private: bool = False
    is_external: bool = False

    @classmethod
    def of(cls, channel: Any) -> Self:
        channel = _mapping(channel)
        # Shared, but not within the organisation, is what it was called before Slack Connect.
        is_shared = bool(channel.get("is_shared")) and not channel.get("is_org_shared")
        return cls(
            name=_text(channel.get("name")) or _text(channel.get("id")),
            is_direct=bool(channel.get("is_im")),
            is_private=bool(channel.get("is_private") or channel.get("is_mpim")),
            is_external=is_shared or any(bool(channel.get(key)) for key in _EXTERNAL),
        )

    @staticmethod
    def encode(channel: "ChannelFacts | None") -> str:
        return _json.encode({"channel": asdict(channel) if channel else None})

    @classmethod
    def decode(cls, text: str) -> Self | None:
        values = _json.decode(text)["channel"]
        return cls(**values) if values else None


@dataclass(frozen=True, slots=True)
class UserGroup:
    id: str
    handle: str
    members: frozenset[str]


def user_groups_in(listed: Any) -> list[UserGroup]:
    """Those in use that are our own."""
    found = []
    for group in listed if isinstance(listed, list) else []:
        group = _mapping(group)
        id, handle = _text(group.get("id")), _text(group.get("handle"))
        if id and handle and not group.get("date_delete") and not group.get("is_external"):
            found.append(UserGroup(id, handle, frozenset(_texts(group.get("users")))))
    return found


def encode_user_groups(groups: Iterable[UserGroup]) -> str:
    return _json.encode({"groups": [[g.id, g.handle, sorted(g.members)] for g in groups]})


# The same text comes with each look-up until it changes, and may be long.
@lru_cache(maxsize=64)
def decode_user_groups(text: str) -> tuple[UserGroup, ...]:
    listed = _json.decode(text)["groups"]
    return tuple(UserGroup(id, handle, frozenset(members)) for id, handle, members in listed)


def encode_ids(ids: Iterable[str] | None) -> str:
    return _json.encode({"ids": None if ids is None else list(ids)})


@lru_cache(maxsize=256)
def decode_ids(text: str) -> tuple[str, ...] | None:
    ids = _json.decode(text)["ids"]
    return None if ids is None else tuple(ids)


@lru_cache(maxsize=256)
def decode_members(text: str) -> frozenset[str]:
    """The same, to look somebody up in; nobody where there is no channel."""
    return frozenset(decode_ids(text) or ())


def ids_in(listed: Any, key: str = "") -> list[str]:
    """The texts in a list, or those under *key* of its objects."""
    if not isinstance(listed, list):
        return []
    values = [_mapping(entry).get(key) for entry in listed] if key else listed
    return [value for value in values if isinstance(value, str) and value]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return ids_in(value)
