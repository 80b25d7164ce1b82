"""A file of people, groups and conversations, read into values. What is doubtful is an error."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any

import yaml

from bot.directory import Person, Room
from bot.messages import ConversationKind, UserRef
from retrieval.access import (
    PUBLIC,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)

EVERYONE = "everyone"
"""Not a group but all employees; `public` is anybody."""
RESERVED = (EVERYONE, "public")

_CLEARANCES = {
    "employee": Level.CONFIDENTIAL,
    "contractor": Level.INTERNAL,
    "guest": Level.PUBLIC,
}
_SECTIONS = ("groups", "users", "conversations")
# An access list may lie in the same file; it is no business of ours.
_OTHERS_SECTIONS = ("documents", "rule")
_USER_KEYS = (
    "name",
    "name_zh",
    "title",
    "title_zh",
    "kind",
    "clearance",
    "groups",
    "email",
    "slack",
    "teams",
)
_GROUP_KEYS = ("members", "groups")
_CONVERSATION_KEYS = ("kind", "members")
_GUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class _Platform:
    """Where people have accounts that stand under the key of its name."""

    name: str
    account: re.Pattern[str]
    example: str

    @property
    def prefix(self) -> str:
        return f"{self.name}:"


_PLATFORMS = (
    _Platform("slack", re.compile(r"[TE][A-Z0-9]+/[UW][A-Z0-9]+"), "T0123ABC/U0123ABC"),
    # The Entra tenant and the object id of the account in it.
    _Platform("teams", re.compile(f"{_GUID}/{_GUID}"), "<tenant id>/<object id>, in lower case"),
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class PeopleFileError(ValueError):
    """What is wrong in the file, beginning with the key it stands at."""


@dataclass(frozen=True, slots=True)
class People:
    """
    Everybody and every conversation in a file, by id and by channel name.

    Attributes:
        by_account: By what other systems call them, such as `slack:T0123/U0123`.
        by_email: By address, case folded.
    """

    persons: Mapping[str, Person]
    rooms: Mapping[str, Room]
    by_account: Mapping[str, Person]
    by_email: Mapping[str, Person]


def read_people(text: str, tenant: str) -> People:
    """
    The people in *text*, YAML or JSON.

    Raises:
        PeopleFileError: If anything in it is not understood: a name that stands nowhere else, a
            key that does not exist, a group inside itself. Nothing is guessed.
    """
    file = _parse(text)
    _only(file, (*_SECTIONS, *_OTHERS_SECTIONS), "the file")
    users = {_text(id, "users"): entry for id, entry in _mapping(file, "users").items()}
    groups = _groups(file.get("groups"), users)
    persons = {id: _person(id, entry, f"users.{id}", groups, tenant) for id, entry in users.items()}
    rooms = {
        _text(name, "conversations"): _room(name, entry, f"conversations.{name}", persons, tenant)
        for name, entry in _mapping(file, "conversations").items()
    }
    by_account: dict[str, Person] = {}
    for platform in _PLATFORMS:
        by_account |= _by_name(users, persons, platform.name, partial(_accounts, platform))
    return People(persons, rooms, by_account, _by_name(users, persons, "email", _emails))


@dataclass(frozen=True, slots=True)
class _Groups:
    """
    Attributes:
        holders: By group, the group and all that it is inside of, however deep.
        of_member: By user, the groups that list this user themselves.
    """

    holders: Mapping[str, frozenset[str]]
    of_member: Mapping[str, frozenset[str]]


def _groups(section: Any, users: Mapping[str, Any]) -> _Groups:
    if section is None:
        section = {}
    if isinstance(section, list):
        section = {name: {} for name in _names(section, "groups") if name not in RESERVED}
    if not isinstance(section, dict):
        raise PeopleFileError("groups: must be a mapping of names, or a list of them")
    listed: dict[str, set[str]] = {}
    parents: dict[str, set[str]] = {name: set() for name in section}
    for name, entry in section.items():
        at = f"groups.{_text(name, 'groups')}"
        if name in RESERVED:
            raise PeopleFileError(f"{at}: the name is reserved; it needs no definition")
        if ":" in name:
            # So are named the groups that a platform tells of.
            raise PeopleFileError(f"{at}: the name of a group holds no colon")
        entry = {"members": entry} if isinstance(entry, list) else entry or {}
        if not isinstance(entry, dict):
            raise PeopleFileError(f"{at}: must be a mapping with members and groups")
        _only(entry, _GROUP_KEYS, at)
        for member in _names(entry.get("members"), f"{at}.members"):
            listed.setdefault(_known(member, users, f"{at}.members", "user"), set()).add(name)
        for inner in _names(entry.get("groups"), f"{at}.groups"):
            parents[_known(inner, section, f"{at}.groups", "group")].add(name)
    return _Groups(_holders(parents), {user: frozenset(names) for user, names in listed.items()})


def _holders(parents: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    try:
        outermost_first = list(TopologicalSorter(parents).static_order())
    except CycleError as error:
        circle = " in ".join(reversed(error.args[1]))
        raise PeopleFileError(f"groups: a group is inside itself: {circle}") from error
    holders: dict[str, frozenset[str]] = {}
    for name in outermost_first:
        holders[name] = frozenset({name}).union(*(holders[parent] for parent in parents[name]))
    return holders


def _person(id: str, entry: Any, at: str, groups: _Groups, tenant: str) -> Person:
    for platform in _PLATFORMS:
        if id.startswith(platform.prefix):
            # Accounts there bring their rights with them; an id like theirs would share them.
            key = platform.name
            raise PeopleFileError(f"{at}: name the account under the key `{key}` of its owner")
    if isinstance(entry, list):
        entry = _from_plain_list(_names(entry, at))
    entry = entry or {}
    if not isinstance(entry, dict):
        raise PeopleFileError(f"{at}: must be a mapping, or a list of groups")
    _only(entry, _USER_KEYS, at)
    kind = _choice(entry.get("kind", "employee"), _CLEARANCES, f"{at}.kind")
    levels = {level.name.lower(): level for level in Level}
    clearance = _CLEARANCES[kind]
    if "clearance" in entry:
        clearance = levels[_choice(entry["clearance"], levels, f"{at}.clearance")]
    member_of = set(groups.of_member.get(id, ()))
    for name in _names(entry.get("groups"), f"{at}.groups"):
        if name in RESERVED:
            raise PeopleFileError(f"{at}.groups: {name!r} is no group; say `kind: employee`")
        member_of.add(_known(name, groups.holders, f"{at}.groups", "group"))
    names = frozenset[str]().union(*(groups.holders[name] for name in member_of))
    return Person(
        ref=UserRef(tenant, id),
        name=_joined(entry, "name_zh", "name", at=at, by=" ") or id,
        title=_joined(entry, "title_zh", "title", at=at, by=" · "),
        reader=Reader(_principals(id, names, kind, tenant, at), clearance),
        is_employee=kind == "employee",
        groups=tuple(sorted(names)),
        company_id=id,
    )


def _by_name(
    users: Mapping[str, Any],
    persons: Mapping[str, Person],
    key: str,
    names: Callable[[Any, str], Iterable[str]],
) -> dict[str, Person]:
    """Everybody by what stands under *key*; nothing may stand there for two people."""
    found: dict[str, Person] = {}
    for id, entry in users.items():
        at = f"users.{id}.{key}"
        for name in names(entry.get(key) if isinstance(entry, dict) else None, at):
            if found.setdefault(name, persons[id]) is not persons[id]:
                raise PeopleFileError(f"{at}: {found[name].ref.id!r} has the same")
    return found


def _accounts(platform: _Platform, value: Any, at: str) -> list[str]:
    accounts = [_text(value, at)] if isinstance(value, str) else _names(value, at)
    for account in accounts:
        if not platform.account.fullmatch(account):
            raise PeopleFileError(f"{at}: {account!r} does not look like {platform.example}")
    return [platform.prefix + account for account in accounts]


def _emails(value: Any, at: str) -> list[str]:
    if value is None:
        return []
    if not _EMAIL.fullmatch(_text(value, at)):
        raise PeopleFileError(f"{at}: {value!r} is no e-mail address")
    return [value.casefold()]


def _from_plain_list(names: list[str]) -> dict[str, Any]:
    own = [name for name in names if name not in RESERVED]
    outside = "contractor" if own else "guest"
    return {"kind": "employee" if EVERYONE in names else outside, "groups": own}


def _principals(
    id: str, groups: Iterable[str], kind: str, tenant: str, at: str
) -> frozenset[Principal]:
    try:
        own = {PUBLIC, user_principal(tenant, id), *(group_principal(tenant, g) for g in groups)}
    except ValueError as error:
        raise PeopleFileError(f"{at}: {error}") from error
    if kind == "employee":
        own.add(tenant_principal(tenant))
    return frozenset(own)


def _room(name: str, entry: Any, at: str, persons: Mapping[str, Person], tenant: str) -> Room:
    if not isinstance(entry, dict):
        raise PeopleFileError(f"{at}: must be a mapping with kind and members")
    _only(entry, _CONVERSATION_KEYS, at)
    kinds = {kind.value: kind for kind in (ConversationKind.PUBLIC, ConversationKind.PRIVATE)}
    kind = kinds[_choice(entry.get("kind"), kinds, f"{at}.kind")]
    if "members" in entry:
        names = _names(entry["members"], f"{at}.members")
        members = [_known(member, persons, f"{at}.members", "user") for member in names]
    elif kind is ConversationKind.PUBLIC:
        members = [id for id, person in persons.items() if person.is_employee]
    else:
        raise PeopleFileError(f"{at}: a private conversation needs its members")
    refs = tuple(UserRef(tenant, member) for member in dict.fromkeys(members))
    return Room(channel=name, name=name, kind=kind, members=refs)


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: the second would silently replace the first one's rights."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                raise PeopleFileError(f"line {line}: {key.value!r} stands there a second time")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(text: str) -> dict[Any, Any]:
    try:
        file = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise PeopleFileError(f"{line}{error.problem}") from error
    except yaml.YAMLError as error:
        raise PeopleFileError("holds characters that are not allowed in YAML") from error
    if not isinstance(file, dict):
        raise PeopleFileError("must be a mapping with users, groups and conversations")
    return file


def _mapping(file: Mapping[Any, Any], key: str) -> dict[Any, Any]:
    section = file.get(key)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise PeopleFileError(f"{key}: must be a mapping")
    return section


def _names(value: Any, at: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PeopleFileError(f"{at}: must be a list")
    return [_text(name, at) for name in value]


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise PeopleFileError(f"{at}: {value!r} is not read as text; put it in quotes")
    return value


def _joined(entry: Mapping[str, Any], *keys: str, at: str, by: str) -> str:
    return by.join(_text(entry[key], f"{at}.{key}") for key in keys if entry.get(key))


def _choice(value: Any, choices: Iterable[str], at: str) -> str:
    choices = list(choices)
    if value not in choices:
        raise PeopleFileError(f"{at}: must be one of {', '.join(choices)}; got {value!r}")
    return str(value)


def _only(entry: Mapping[Any, Any], keys: Iterable[str], at: str) -> None:
    for key in entry:
        _known(_text(key, at), tuple(keys), at, "key")


def _known(name: str, known: Iterable[str], at: str, what: str) -> str:
    names = list(known)
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise PeopleFileError(f"{at}: unknown {what} {name!r}{hint}")
    return name
