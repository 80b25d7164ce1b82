"""Which of the known access lists a scope allows: few lists exist, so a scope is evaluated once over them."""

import json
import sqlite3
import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from retrieval.access import AccessScope, Acl, Level, Principal
from retrieval.embedded.database import BadRow

_SCOPES_KEPT = 512


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a scope allows, by the number of the access list.

    Attributes:
        is_allowed: Indexed by number; a number beyond its end is not known and so not allowed.
        allowed: The numbers that are.
        denied: The known numbers that are not.
    """

    is_allowed: NDArray[np.bool_]
    allowed: NDArray[np.int64]
    denied: NDArray[np.int64]

    def allows(self, number: int) -> bool:
        return number < len(self.is_allowed) and bool(self.is_allowed[number])


class AccessSets:
    """
    The access lists in use, by number, as far as this process has read them.

    A number stands for the same content forever, so a list never has to be read again and a
    verdict stays right; lists that are no longer in use do no harm.
    """

    def __init__(self) -> None:
        self._acls: dict[int, Acl] = {}
        self._by_principal: defaultdict[Principal, list[int]] = defaultdict(list)
        self._last = 0
        self._verdicts: OrderedDict[AccessScope, Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read the lists that are new since the last call."""
        with self._lock:
            rows = connection.execute(
                "SELECT no, level, principals FROM acl_sets WHERE no > ? ORDER BY no", (self._last,)
            ).fetchall()
            if not rows:
                return
            for number, level, principals in rows:
                acl = acl_from(level, principals)
                self._acls[number] = acl
                self._last = number
                for principal in acl.principals:
                    self._by_principal[principal].append(number)
            self._verdicts.clear()

    def verdict(self, scope: AccessScope) -> Verdict:
        with self._lock:
            found = self._verdicts.get(scope)
            if found is None:
                found = self._verdicts[scope] = self._evaluate(scope)
                if len(self._verdicts) > _SCOPES_KEPT:
                    self._verdicts.popitem(last=False)
            else:
                self._verdicts.move_to_end(scope)
            return found

    def _evaluate(self, scope: AccessScope) -> Verdict:
        is_allowed = np.zeros(self._last + 1, np.bool_)
        for number in self._candidates(scope):
            is_allowed[number] = scope.allows(self._acls[number])
        known = np.fromiter(self._acls, np.int64, len(self._acls))
        return Verdict(is_allowed, known[is_allowed[known]], known[~is_allowed[known]])

    def _candidates(self, scope: AccessScope) -> set[int]:
        # Every clause must meet a list, so the clause that meets the fewest bounds the work.
        if scope.is_empty:
            return set()
        numbers = self._by_principal
        fewest = min(
            scope.clauses,
            key=lambda clause: sum(len(numbers.get(p, ())) for p in clause.principals),
        )
        return {number for p in fewest.principals for number in numbers.get(p, ())}


def intern_acl(connection: sqlite3.Connection, acl: Acl) -> int:
    """The number of *acl*, given to it if it has none."""
    row = connection.execute("SELECT no FROM acl_sets WHERE set_id = ?", (acl.set_id,)).fetchone()
    if row is not None:
        return int(row[0])
    inserted = connection.execute(
        "INSERT INTO acl_sets(set_id, level, principals) VALUES(?, ?, ?)",
        (acl.set_id, int(acl.level), json.dumps(sorted(acl.principals), ensure_ascii=False)),
    )
    return cast(int, inserted.lastrowid)


def drop_unused_acl(connection: sqlite3.Connection, number: int) -> None:
    connection.execute(
        "DELETE FROM acl_sets WHERE no = ?1"
        " AND NOT EXISTS (SELECT 1 FROM documents WHERE acl_set = ?1)",
        (number,),
    )


def acl_from(level: int, principals: str) -> Acl:
    try:
        return Acl(frozenset(Principal(p) for p in json.loads(principals)), Level(level))
    except (TypeError, ValueError) as error:
        raise BadRow(f"an access list is unreadable: {error}") from error
