"""Who may read what: principals, access lists, readers and the scope of a reply. Pure rules, no I/O."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NewType, Self

Principal = NewType("Principal", str)
"""An identity that can be granted access. Built only by the functions below, so that two kinds never collide."""

PUBLIC = Principal("public")
"""Anybody at all, inside or outside the organisation."""


class Level(IntEnum):
    """How sensitive a document is, and how much a reader is cleared for."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    SECRET = 3


def user_principal(tenant: str, user_id: str) -> Principal:
    return _scoped("user", tenant, user_id)


def group_principal(tenant: str, group_id: str) -> Principal:
    return _scoped("group", tenant, group_id)


def tenant_principal(tenant: str) -> Principal:
    """Everyone who is employed by *tenant*; contractors and guests do not carry it."""
    return Principal(f"tenant:{_tenant_id(tenant)}")


def _scoped(kind: str, tenant: str, name: str) -> Principal:
    if not name or not name.isprintable():
        raise ValueError(f"a {kind} id must be printable text and not empty, got {name!r}")
    return Principal(f"{kind}:{_tenant_id(tenant)}/{name}")


def _tenant_id(tenant: str) -> str:
    # The tenant ends at the first slash; an id holding one could pose as another tenant's principal.
    if not tenant or not tenant.isprintable() or "/" in tenant:
        raise ValueError(f"a tenant id must be printable text without '/', got {tenant!r}")
    return tenant


@dataclass(frozen=True, slots=True)
class Acl:
    """Who may read a document: any one of the principals, if cleared for the level."""

    principals: frozenset[Principal]
    level: Level = Level.INTERNAL

    @property
    def set_id(self) -> str:
        """Content hash shared by all documents with the same access; few exist, so scopes are evaluated over them."""
        return _set_id(self)

    def is_stricter_than(self, other: Self) -> bool:
        """True when whoever may read by this list may read by *other* too."""
        return self.principals <= other.principals and other.level <= self.level

    def narrowed_to(self, other: Self) -> "Acl":
        """Grants nothing that either of the two does not."""
        return Acl(self.principals & other.principals, max(self.level, other.level))

    def widened_by(self, other: Self) -> "Acl":
        """Grants whatever either of the two does."""
        return Acl(self.principals | other.principals, min(self.level, other.level))


@lru_cache(maxsize=100_000)
def _set_id(acl: Acl) -> str:
    # The unit separator is not printable, so no principal can hold it.
    content = "\x1f".join([str(int(acl.level)), *sorted(acl.principals)])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reader:
    """What one person's access amounts to. Two people with equal access are equal readers."""

    principals: frozenset[Principal]
    clearance: Level

    def may_read(self, acl: Acl) -> bool:
        return acl.level <= self.clearance and not self.principals.isdisjoint(acl.principals)

    def is_stricter_than(self, other: Self) -> bool:
        """True when whatever this reader may read, *other* may read too."""
        return self.principals <= other.principals and self.clearance <= other.clearance

    @classmethod
    def stranger(cls) -> "Reader":
        """Anybody whose access could not be established: only what is marked public."""
        return cls(frozenset({PUBLIC}), Level.PUBLIC)


@dataclass(frozen=True, slots=True)
class AccessScope:
    """
    What *every* reader of a reply may see.

    One clause per distinct reader. An access list is in scope when each clause may read it.
    No clauses, no access: a forgotten list of readers fails closed.
    """

    clauses: frozenset[Reader]

    @classmethod
    def of(cls, readers: Iterable[Reader]) -> "AccessScope":
        """The scope of these readers, without the clauses that stricter ones imply."""
        kept: list[Reader] = []
        # Whoever is stricter comes before those whom they imply.
        for reader in sorted(set(readers), key=lambda r: (len(r.principals), r.clearance)):
            if not any(other.is_stricter_than(reader) for other in kept):
                kept.append(reader)
        return cls(frozenset(kept))

    @classmethod
    def nothing(cls) -> "AccessScope":
        return cls(frozenset())

    @property
    def is_empty(self) -> bool:
        return not self.clauses

    def allows(self, acl: Acl) -> bool:
        return bool(self.clauses) and all(clause.may_read(acl) for clause in self.clauses)

    def narrowed(self, *, max_clauses: int) -> "AccessScope":
        """
        A scope of at most *max_clauses* (at least 1) clauses that allows nothing this one does not.

        Beyond the limit, all clauses fold into one: the principals that every reader has, and the
        lowest clearance. Fewer passages, never more.
        """
        if len(self.clauses) <= max_clauses:
            return self
        shared = frozenset[Principal].intersection(*(clause.principals for clause in self.clauses))
        clearance = min(clause.clearance for clause in self.clauses)
        return AccessScope(frozenset({Reader(shared, clearance)}))

    def __deepcopy__(self, memo: object) -> Self:
        # Haystack copies inputs for each consumer; an immutable value is its own copy.
        return self
