"""What Graph and the Bot Connector tell about people, teams and members, read into values. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self

from adapters.teams.ids import person_ref
from adapters.teams.json_values import is_guid, mapping, sequence, text_in
from bot.versioned_json import VersionedJson

ANYBODY_IN = "anybody"
"""A stranger among the members: somebody of whom nothing is told."""

_json = VersionedJson(1)
_BOT = "28:"
_AAD_MEMBER = "#microsoft.graph.aaduserconversationmember"


@dataclass(frozen=True, slots=True)
class Account:
    """
    Somebody's account in Entra, as its own tenant tells it.

    Attributes:
        is_told: False where the app may not ask about people: then nothing else holds.
        is_enabled: Said to be; whoever is blocked cannot sign in.
        is_guest: Not said to be a member, or invited from elsewhere.
        groups: Ids of all groups it is in, through groups within groups too.
        group_names: For people to read; of some of them.
    """

    id: str
    name: str = ""
    title: str = ""
    is_told: bool = True
    is_enabled: bool = False
    is_guest: bool = True
    groups: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Any) -> Self | None:
        """None for what is no user."""
        told = mapping(told)
        id = text_in(told, "id").lower()
        if not is_guid(id):
            return None
        is_invited = "#ext#" in text_in(told, "userPrincipalName").lower()
        return cls(
            id=id,
            name=text_in(told, "displayName") or id,
            title=text_in(told, "jobTitle"),
            is_enabled=told.get("accountEnabled") is True,
            is_guest=told.get("userType") != "Member"
            or bool(told.get("externalUserState"))
            or is_invited,
        )

    @staticmethod
    def encode(account: "Account | None") -> str:
        return _json.encode({"account": asdict(account) if account else None})

    @classmethod
    def decode(cls, text: str) -> Self | None:
        values = _json.decode(text)["account"]
        if not values:
            return None
        lists = {name: tuple(values[name]) for name in ("groups", "group_names")}
        return cls(**{**values, **lists})


def group_ids_in(told: Any) -> list[str] | None:
    """The answer of `getMemberGroups`; None for anything else."""
    ids = mapping(told).get("value")
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        return None
    return [id.lower() for id in ids if is_guid(id.lower())]


def named_groups_in(items: Any) -> dict[str, str]:
    """Names by id, of groups alone; a name may be empty, where the app must not see it."""
    found = {}
    for item in sequence(items):
        item = mapping(item)
        kind, id = text_in(item, "@odata.type").lower(), text_in(item, "id").lower()
        # After the cast nothing else comes, and the type is not told.
        if is_guid(id) and kind in ("", "#microsoft.graph.group"):
            found[id] = text_in(item, "displayName")
    return found


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """
    Attributes:
        type: `personal`, `groupChat`, or of a channel `standard`, `private` or `shared`.
        members: Ids of `UserRef`, of everybody who reads it; whoever is not known is among them.
        is_closed: Whoever wants to join has to be let in; False also where nobody tells.
    """

    type: str
    name: str
    members: tuple[str, ...]
    is_closed: bool = False

    @staticmethod
    def encode(room: "RoomFacts | None") -> str:
        return _json.encode({"room": asdict(room) if room else None})

    @classmethod
    def decode(cls, text: str) -> "RoomFacts | None":
        return _decoded_room(text)


# The same text comes with each look-up until it changes, and may be long.
@lru_cache(maxsize=256)
def _decoded_room(text: str) -> RoomFacts | None:
    values = _json.decode(text)["room"]
    return RoomFacts(**{**values, "members": tuple(values["members"])}) if values else None


def is_closed(told: Any) -> bool:
    """Of a team, or of its group; what is not said to be closed is open."""
    return text_in(mapping(told), "visibility").lower() in ("private", "hiddenmembership")


def channel_type(told: Any) -> str:
    """`standard`, `private` or `shared`; empty for what is told otherwise."""
    told = mapping(told)
    kind = (text_in(told, "membershipType") or text_in(told, "type")).lower()
    return kind if kind in ("standard", "private", "shared") else ""


def members_of_connector(entries: Iterable[Any]) -> list[str]:
    """Ids of `UserRef`, without bots, which read nothing."""
    ids = (_connector_member(entry) for entry in entries)
    return list(dict.fromkeys(id for id in ids if id))


def members_of_graph(items: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(_graph_member(item) for item in items))


def _connector_member(entry: Any) -> str | None:
    """None for a bot, which reads nothing."""
    entry = mapping(entry)
    id = text_in(entry, "id")
    if id.startswith(_BOT):
        return None
    told = {text_in(entry, key).lower() for key in ("aadObjectId", "objectId")} - {""}
    # Told of twice, and differently, is not told.
    object_id = next(iter(told)) if len(told) == 1 else ""
    is_anonymous = text_in(entry, "userRole").lower() == "anonymous"
    return _id("" if is_anonymous else text_in(entry, "tenantId"), object_id, id)


def _graph_member(item: Any) -> str:
    item = mapping(item)
    kind = text_in(item, "@odata.type").lower()
    object_id = text_in(item, "userId") if kind in ("", _AAD_MEMBER) else ""
    return _id(text_in(item, "tenantId"), object_id, text_in(item, "id"))


def _id(tenant_id: str, object_id: str, id: str) -> str:
    # The organisation's name makes no difference to the id.
    return person_ref("-", tenant_id=tenant_id, object_id=object_id, id=id or ANYBODY_IN).id
