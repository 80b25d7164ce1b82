"""A directory kept in one YAML or JSON file that may be edited while we run."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from bot.directory import Person, Room
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationRef, UserRef
from bot.people_file import People, PeopleFileError, read_people

log = structlog.get_logger()

_Stamp = tuple[int, ...]


class YamlDirectory:
    """
    `CompanyDirectory` over a file with `groups`, `users` and `conversations`.

    ```yaml
    groups:
      engineering: {groups: [design, lab]}     # members of design and lab are in engineering too
      design: {members: [amy]}
      lab: [ben]                               # the same, short
    users:
      amy: {name: Amy Lin, title: Designer, clearance: secret, groups: [lab]}
      ben: {name: Ben Chen, kind: contractor, email: ben@company.example}
      dan: {name: Dan Wu, slack: T0123ABC/U0123ABC}    # or a list of accounts
      cho: [everyone, lab]                     # short: an employee in lab
    conversations:
      "#general": {kind: public}               # all employees, unless members are listed
      "#lab": {kind: private, members: [amy, ben]}
    ```

    Everybody carries `public`, their own and their groups' principals; employees (`kind: employee`,
    the default) also the tenant's. Clearance, unless given: employees confidential, contractors
    internal, guests public. In the short form of a user, `everyone` makes an employee, other groups
    a contractor, none a guest.

    A change of the file holds from the next question on. While the file is broken or missing every
    look-up raises `DirectoryUnavailable`: rights that were just taken away must not live on.
    """

    def __init__(self, path: Path, tenant: str) -> None:
        self._path = path
        self._tenant = tenant
        self._snapshot: _Snapshot | None = None

    @classmethod
    def load(cls, path: Path, tenant: str) -> Self:
        """Read *path* now; raises `DirectoryUnavailable`, saying what is wrong in it."""
        directory = cls(path, tenant)
        directory._refresh()
        directory._people()
        return directory

    async def person(self, user: UserRef) -> Person | None:
        people = await self._current()
        return people.persons.get(user.id) if user.tenant == self._tenant else None

    async def room(self, conversation: ConversationRef) -> Room | None:
        people = await self._current()
        same_tenant = conversation.tenant == self._tenant
        return people.rooms.get(conversation.channel) if same_tenant else None

    async def people(self) -> Sequence[Person]:
        return list((await self._current()).persons.values())

    async def rooms(self) -> Sequence[Room]:
        return list((await self._current()).rooms.values())

    async def person_on(self, account: str) -> Person | None:
        return (await self._current()).by_account.get(account)

    async def person_with_email(self, email: str) -> Person | None:
        return (await self._current()).by_email.get(email.casefold())

    async def _current(self) -> People:
        if self._snapshot is None or self._snapshot.stamp != _stamp(self._path):
            await asyncio.to_thread(self._refresh)
        return self._people()

    def _people(self) -> People:
        assert self._snapshot is not None
        if self._snapshot.people is None:
            raise DirectoryUnavailable(self._snapshot.problem)
        return self._snapshot.people

    def _refresh(self) -> None:
        # The stamp is older than what is read: a change in between is seen at the next look-up.
        stamp = _stamp(self._path)
        try:
            people = read_people(self._path.read_text("utf-8-sig"), self._tenant)
        except (OSError, UnicodeDecodeError, PeopleFileError) as error:
            problem = f"{self._path}: {_told(error)}"
            log.error("directory.unreadable", path=str(self._path))
            self._snapshot = _Snapshot(stamp, None, problem)
        else:
            self._snapshot = _Snapshot(stamp, people)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    stamp: _Stamp | None
    people: People | None
    problem: str = ""


def _stamp(path: Path) -> _Stamp | None:
    """Differs whenever the file was written or replaced; None while there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def _told(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return str(error)
