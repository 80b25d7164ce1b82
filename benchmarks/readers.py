"""Who may read generated documents, and who asks: 500 groups, a fifth of the documents public."""

import random

from retrieval.access import PUBLIC, AccessScope, Acl, Level, Reader, group_principal

GROUPS = tuple(group_principal("generated", f"group-{n:03}") for n in range(500))
PUBLIC_SHARE = 0.2
ACCESS_LISTS = 3_000
"""Distinct lists among the documents that are not public, of one to four groups each."""


class AccessLists:
    """The lists in use, drawn for one document after the other."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lists = [
            Acl(frozenset(rng.sample(GROUPS, rng.randint(1, 4)))) for _ in range(ACCESS_LISTS)
        ]

    def draw(self) -> Acl:
        if self._rng.random() < PUBLIC_SHARE:
            return Acl(frozenset({PUBLIC}), Level.PUBLIC)
        return self._rng.choice(self._lists)


def everything() -> AccessScope:
    """A scope that every chunk is in: the store then adds no filter to its queries."""
    return AccessScope.of([Reader(frozenset({PUBLIC, *GROUPS}), Level.SECRET)])


def scope_of(rng: random.Random, *, readers: int, groups: int) -> AccessScope:
    """The scope of *readers* distinct people, each in *groups* groups."""
    return AccessScope.of(
        Reader(frozenset({PUBLIC, *rng.sample(GROUPS, groups)}), Level.SECRET)
        for _ in range(readers)
    )
