"""What the app asks of Graph and of teams and chats, and why: the one list behind manifest, check and docs."""

from dataclasses import dataclass
from enum import StrEnum


class OptIn(StrEnum):
    """What is off until an administrator wants it."""

    FOLLOW = "follow-ups without a mention"
    THREADS = "the thread before a question"
    INDEX = "channel posts as documents"
    CHANNEL_FILES = "files in channels and group chats"
    SHAREPOINT = "SharePoint as a source"
    NOTIFICATIONS = "changes told at once"


class GrantedBy(StrEnum):
    """Who says yes, and how far that reaches."""

    ADMIN = "administrator"
    """Application permission of Graph, for the whole tenant, by consent in Entra."""
    TEAM = "owner of the team"
    """Resource-specific: by adding the app, for that team alone."""
    CHAT = "member of the chat"
    """Resource-specific: by adding the app, for that chat alone."""


@dataclass(frozen=True, slots=True)
class Permission:
    """
    Attributes:
        only_for: Asked for with any of these; always, if there is none.
        is_needed: Without it nobody is known but whom the directory's file names.
    """

    name: str
    why: str
    granted_by: GrantedBy = GrantedBy.ADMIN
    only_for: frozenset[OptIn] = frozenset()
    is_needed: bool = False

    @property
    def is_in_manifest(self) -> bool:
        return self.granted_by is not GrantedBy.ADMIN


_MESSAGES = frozenset({OptIn.THREADS, OptIn.CHANNEL_FILES})

PERMISSIONS = (
    Permission(
        "ChannelMember.Read.Group",
        "sees who reads a private or shared channel",
        GrantedBy.TEAM,
    ),
    Permission(
        "ChannelMessage.Read.Group",
        "reads the thread that it is asked in and its files, follow-ups, and posts that become documents",
        GrantedBy.TEAM,
        _MESSAGES | {OptIn.FOLLOW, OptIn.INDEX},
    ),
    Permission(
        "ChannelSettings.Read.Group",
        "sees whether a channel is private or shared",
        GrantedBy.TEAM,
    ),
    Permission(
        "ChatMessage.Read.Chat",
        "reads what was said before the question, and the files named there",
        GrantedBy.CHAT,
        _MESSAGES,
    ),
    Permission(
        "Files.Read.All",
        "reads a file that a question in a channel comes with; reads documents and who may read them",
        only_for=frozenset({OptIn.CHANNEL_FILES, OptIn.SHAREPOINT}),
    ),
    Permission(
        "Group.Read.All",
        "is told of changed groups; for the rest GroupMember.Read.All is enough",
        only_for=frozenset({OptIn.NOTIFICATIONS}),
    ),
    Permission(
        "GroupMember.Read.All",
        "knows which groups of Entra a person is in, and whether a team is private",
        is_needed=True,
    ),
    Permission("Member.Read.Hidden", "knows groups whose members are hidden, too"),
    Permission(
        "Sites.Read.All",
        "finds the libraries of a SharePoint site, what changed there and who may read it",
        only_for=frozenset({OptIn.SHAREPOINT}),
    ),
    Permission(
        "TeamSettings.Read.Group", "sees whether everybody may join the team", GrantedBy.TEAM
    ),
    Permission(
        "User.Read.All",
        "tells employees from guests and from accounts that are blocked",
        is_needed=True,
    ),
)


def permissions(opt_ins: frozenset[OptIn]) -> list[Permission]:
    return [p for p in PERMISSIONS if not p.only_for or p.only_for & opt_ins]
