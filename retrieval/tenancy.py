"""Organisations, and the collection in which each one's chunks live apart from all others'."""

import re
from dataclasses import dataclass

_TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation. Its id is also the name of its collection and of its folder on disk."""

    id: str
    name: str = ""

    def __post_init__(self) -> None:
        if not _TENANT_ID.fullmatch(self.id):
            raise ValueError(
                f"a tenant id has 1 to 64 lower-case letters, digits and inner hyphens, like 'qinglan'; got {self.id!r}"
            )
