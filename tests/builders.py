"""Values for tests: each builder sets only what the test is about."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count

from bot.messages import ConversationKind, ConversationRef, IncomingMessage, UserRef
from retrieval.access import PUBLIC, AccessScope, Acl, Level, Principal, Reader, group_principal
from retrieval.types import Chunk, Document, IndexedDocument

TENANT = "acme"
ENG = group_principal(TENANT, "eng")
SALES = group_principal(TENANT, "sales")

_ids = count(1)


def an_acl(*principals: Principal, level: Level = Level.INTERNAL) -> Acl:
    return Acl(frozenset(principals or {PUBLIC}), level)


def a_reader(*principals: Principal, clearance: Level = Level.SECRET) -> Reader:
    return Reader(frozenset({PUBLIC, *principals}), clearance)


def a_scope(*readers: Iterable[Principal]) -> AccessScope:
    """One reader per argument, each given as its principals."""
    return AccessScope.of(a_reader(*principals) for principals in readers)


def a_document(
    *texts: str,
    id: str | None = None,
    acl: Acl | None = None,
    title: str = "",
    source: str = "test",
    content_hash: str = "",
) -> IndexedDocument:
    """A document with one chunk per text."""
    document_id = id or f"doc-{next(_ids)}"
    document = Document(
        id=document_id,
        source=source,
        title=title,
        acl=acl or an_acl(),
        content_hash=content_hash or repr(texts),
        link=f"https://docs.example/{document_id}",
        owner="owner",
        modified_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    chunks = tuple(
        Chunk(id=f"{document_id}#{n}", document=document, ordinal=n, text=text)
        for n, text in enumerate(texts)
    )
    return IndexedDocument(document, chunks)


def a_conversation(
    channel: str = "D1", kind: ConversationKind = ConversationKind.DIRECT, thread: str | None = None
) -> ConversationRef:
    return ConversationRef("test", TENANT, channel, kind, thread)


def a_message(
    text: str,
    *,
    user: str = "ann",
    conversation: ConversationRef | None = None,
    event_id: str | None = None,
) -> IncomingMessage:
    return IncomingMessage(
        event_id=event_id or f"event-{next(_ids)}",
        user=UserRef(TENANT, user),
        conversation=conversation or a_conversation(),
        text=text,
        sent_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
