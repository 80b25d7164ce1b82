"""What SharePoint's permissions on a file grant in our terms: whoever is not told apart for sure is nobody. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.teams.ids import TeamsPerson, entra_group_principal
from adapters.teams.json_values import is_guid, mapping, sequence, text_in
from retrieval.access import Principal, tenant_principal, user_principal

# Others, such as `sp.limited access`, let somebody walk through a folder without reading what is in it.
_READING = frozenset({"read", "write", "owner", "sp.full control"})
# Not `createOnly`, by which files are handed in without being seen, and not what comes to be invented.
_READING_LINKS = frozenset({"view", "edit", "review", "blocksDownload"})

_ALL_EMPLOYEES = "c:0-.f|rolemanager|spo-grid-all-users/"
_ALL_VISITORS = "c:0(.s|true"
_CLAIM = "c:0"

_FORMAT = 1
"""Raise it when permissions come to be understood in another way: then all are read again."""

SITE_GROUPS = "SharePoint group"
GROUP_OWNERS = "owners of a group"
EVERYONE = "everyone"
ORGANISATION_LINKS = "link for the organisation"
ANONYMOUS_LINKS = "link for anybody"
OTHER_LINKS = "other link"
EXPIRED = "expired"
OTHER_ROLES = "other role"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SharePointRules:
    """
    How grants of one source are understood.

    Attributes:
        tenant: Our organisation.
        tenant_id: The Entra tenant that the files belong to.
        organization_links: Whoever is employed may read what has a link for the whole organisation, or for
            anybody. In SharePoint only those can who were given the link.
        everyone: Whoever is employed may read what is granted to “Everyone except external users”.
        site_groups: Id of the Entra group that stands for a SharePoint group, by the latter's name: Graph does
            not tell who is in the latter.
    """

    tenant: str
    tenant_id: str
    organization_links: bool = False
    everyone: bool = False
    site_groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Another one where the same permissions would be understood in another way."""
        switches = (self.tenant, self.tenant_id, self.organization_links, self.everyone)
        text = repr((_FORMAT, switches, sorted(self.site_groups.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Grants:
    """
    Attributes:
        principals: Who may read it.
        left_out: What was granted beside that, and to nobody of ours; number by kind.
        expires_at: Seconds since the epoch at which the first of these grants ends; 0: none does.
    """

    principals: frozenset[Principal] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)
    expires_at: float = 0.0


def grants_of(
    permissions: Iterable[Mapping[str, Any]], rules: SharePointRules, *, now: float
) -> Grants:
    """Of all permissions of one file, inherited ones included."""
    principals: set[Principal] = set()
    left_out: Counter[str] = Counter()
    ends: list[float] = []
    for permission in permissions:
        expires_at = _expiry(permission.get("expirationDateTime"))
        if expires_at is None or 0 < expires_at <= now:
            left_out[EXPIRED] += 1
            continue
        granted, missing = _one(permission, rules)
        principals |= granted
        left_out += missing
        if granted and expires_at:
            ends.append(expires_at)
    return Grants(frozenset(principals), dict(left_out), min(ends, default=0.0))


def person(tenant_id: str, identity: object) -> TeamsPerson | None:
    """From Graph's `user` facet, whose id is that of the account in Entra, for guests of the one here."""
    id = text_in(mapping(identity), "id").lower()
    return TeamsPerson(tenant_id.lower(), id) if is_guid(id) else None


def _one(
    permission: Mapping[str, Any], rules: SharePointRules
) -> tuple[set[Principal], Counter[str]]:
    roles = permission.get("roles")
    if not isinstance(roles, list) or _READING.isdisjoint(map(str, roles)):
        return set(), Counter({OTHER_ROLES: 1})
    link = permission.get("link")
    if link is None:
        return _identities([permission.get("grantedToV2")], rules)
    link = mapping(link)
    if link.get("type") not in _READING_LINKS or permission.get("hasPassword") is True:
        return set(), Counter({OTHER_LINKS: 1})
    match link.get("scope"):
        case "users":
            return _identities(sequence(permission.get("grantedToIdentitiesV2")), rules)
        case "organization":
            return _employees(rules, is_on=rules.organization_links, kind=ORGANISATION_LINKS)
        case "anonymous":
            return _employees(rules, is_on=rules.organization_links, kind=ANONYMOUS_LINKS)
    return set(), Counter({OTHER_LINKS: 1})


def _identities(
    identities: Iterable[object], rules: SharePointRules
) -> tuple[set[Principal], Counter[str]]:
    principals: set[Principal] = set()
    left_out: Counter[str] = Counter()
    for identity in identities:
        granted, missing = _identity(mapping(identity), rules)
        principals |= granted
        left_out += missing
    return principals, left_out


def _identity(
    identity: Mapping[str, Any], rules: SharePointRules
) -> tuple[set[Principal], Counter[str]]:
    if identity.get("application") or identity.get("device"):
        # Nobody who reads, and so nobody who is left out.
        return set(), Counter()
    login = str(mapping(identity.get("siteUser")).get("loginName") or "").lower()
    if login.startswith((_ALL_EMPLOYEES, _ALL_VISITORS)):
        is_ours = login in (_ALL_EMPLOYEES + rules.tenant_id.lower(), _ALL_VISITORS)
        return _employees(rules, is_on=rules.everyone and is_ours, kind=EVERYONE)
    if site_group := mapping(identity.get("siteGroup")):
        return _site_group(site_group, rules)
    group, user = mapping(identity.get("group")), mapping(identity.get("user"))
    if group and not user:
        return _group(str(group.get("id") or "").lower(), login, rules)
    somebody = person(rules.tenant_id, user)
    if somebody is None or group or login.startswith(_CLAIM):
        return set(), Counter({UNKNOWN: 1})
    return {user_principal(rules.tenant, somebody.account)}, Counter()


def _group(id: str, login: str, rules: SharePointRules) -> tuple[set[Principal], Counter[str]]:
    if login.endswith("_o"):
        # The group is named, but only its owners are meant.
        return set(), Counter({GROUP_OWNERS: 1})
    if not is_guid(id) or (login and login.rpartition("|")[2] != id):
        return set(), Counter({UNKNOWN: 1})
    return {entra_group_principal(rules.tenant, id)}, Counter()


def _site_group(
    group: Mapping[str, Any], rules: SharePointRules
) -> tuple[set[Principal], Counter[str]]:
    id = rules.site_groups.get(str(group.get("displayName") or ""), "").lower()
    if not is_guid(id):
        return set(), Counter({SITE_GROUPS: 1})
    return {entra_group_principal(rules.tenant, id)}, Counter()


def _employees(
    rules: SharePointRules, *, is_on: bool, kind: str
) -> tuple[set[Principal], Counter[str]]:
    return ({tenant_principal(rules.tenant)}, Counter()) if is_on else (set(), Counter({kind: 1}))


def _expiry(text: object) -> float | None:
    """0: never; None: not understood."""
    if text is None or text == "":
        return 0.0
    try:
        moment = datetime.fromisoformat(str(text))
        # The year 1 stands for never.
        return 0.0 if moment.year == 1 else moment.timestamp()
    except (ValueError, OverflowError):
        return None
