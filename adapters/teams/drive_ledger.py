"""What is known of document libraries, port and in-memory twin: what is in them, who may read it, how far we are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DriveItem:
    """
    A file or folder of a library, as Graph told it last.

    Attributes:
        parent: Id of its folder; empty: the root.
        tag: Changes with the file.
        problem: Why it is not read, whatever it holds.
        shared: Changes with how a folder is shared, where Graph tells.
        scan: In which pass through the whole library it was met last.
        is_misplaced: A folder above has moved: name and link of what is in it are not told anew.
        rights_at: When its permissions were read, in seconds since the epoch; 0: they have to be.
        refusal: Why they cannot be read; then nobody may read it.
        expires_at: When the first of the grants ends; 0: none does.
    """

    id: str
    parent: str = ""
    name: str = ""
    is_folder: bool = False
    size_bytes: int = 0
    tag: str = ""
    link: str = ""
    modified_at: str = ""
    owner: str = ""
    problem: str = ""
    shared: str = ""
    scan: int = 0
    is_misplaced: bool = False
    rights_at: float = 0.0
    principals: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)
    refusal: str = ""
    expires_at: float = 0.0

    def unread(self) -> "DriveItem":
        """The same, its permissions to be read anew."""
        return replace(self, rights_at=0.0)


@dataclass(frozen=True, slots=True)
class DriveState:
    """
    How far we have followed a library.

    Attributes:
        turn: Counts what was written, so that two who follow the same library notice.
        link: Of the next page, or of later changes; empty: at the beginning.
        is_current: The link is one for later changes.
        scan: Counts passes through the whole library.
        scanned_at: When the latest of them began, in seconds since the epoch.
        rules: By which the permissions were understood.
        sweep_at: When the latest reading of all permissions began.
        rights_at: As of when all permissions are known; 0: they never were.
    """

    turn: int = 0
    link: str = ""
    is_current: bool = False
    scan: int = 0
    scanned_at: float = 0.0
    rules: str = ""
    sweep_at: float = 0.0
    rights_at: float = 0.0


class DriveLedger(Protocol):
    """
    By id of the library. It can be lost: then the library is read through anew.

    Every method raises `StateUnavailable` when the server does not answer.
    """

    async def state(self, drive: str) -> DriveState | None: ...

    async def items(self, drive: str) -> dict[str, DriveItem]: ...

    async def turn(
        self,
        drive: str,
        state: DriveState,
        *,
        put: Iterable[DriveItem] = (),
        drop: Iterable[str] = (),
    ) -> bool:
        """
        Write items and how far they bring us, all or nothing.

        Args:
            state: Its `turn` is one more than that of the state before.

        Returns:
            False, and nothing is changed, if somebody else has written since.
        """
        ...

    async def forget(self, drive: str) -> None: ...


class InMemoryDriveLedger:
    """Lives and dies with the process."""

    def __init__(self) -> None:
        self._states: dict[str, DriveState] = {}
        self._items: dict[str, dict[str, DriveItem]] = {}

    async def state(self, drive: str) -> DriveState | None:
        return self._states.get(drive)

    async def items(self, drive: str) -> dict[str, DriveItem]:
        return dict(self._items.get(drive, {}))

    async def turn(
        self,
        drive: str,
        state: DriveState,
        *,
        put: Iterable[DriveItem] = (),
        drop: Iterable[str] = (),
    ) -> bool:
        before = self._states.get(drive, DriveState())
        if state.turn != before.turn + 1:
            return False
        items = self._items.setdefault(drive, {})
        for id in drop:
            items.pop(id, None)
        items |= {item.id: item for item in put}
        self._states[drive] = state
        return True

    async def forget(self, drive: str) -> None:
        self._states.pop(drive, None)
        self._items.pop(drive, None)
