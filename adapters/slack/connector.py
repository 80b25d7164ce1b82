"""One Slack channel as a source of documents: what the ledger lists, each thread read from Slack when it is loaded."""

from collections.abc import AsyncIterator

from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.channel_access import channel_acl, document_id, source_of
from adapters.slack.client import SLACK_FAILURES, slack_error, what_failed
from adapters.slack.ids import SlackChannelId, SlackPerson
from adapters.slack.index_guard import content_hash
from adapters.slack.thread_ledger import ThreadLedger, Visibility
from adapters.slack.thread_messages import is_document, markdown_of, modified_at, title_of
from adapters.slack.thread_reader import ReadSoFar, ThreadReader, pause_s
from retrieval.analysis import language_of
from retrieval.errors import IngestError
from retrieval.ingest.connectors import (
    FailedDocument,
    FoundDocument,
    LoadedDocument,
    SkippedFile,
)
from retrieval.types import Document

_GONE = frozenset({"thread_not_found", "message_not_found"})
# What is refused for one thread is refused for all.
_REFUSALS = frozenset(
    {
        "access_denied",
        "account_inactive",
        "channel_not_found",
        "invalid_auth",
        "is_archived",
        "method_not_supported_for_channel_type",
        "missing_scope",
        "no_permission",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
        "unknown_method",
    }
)


class SlackChannelConnector:
    """
    `Connector` over the threads that *ledger* lists.

    Attributes:
        dropped: Documents that turned out to be none; the ledger knows by now.
        again_after_s: Slack wants to be asked again so much later; until then every document fails.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        channel: SlackChannelId,
        *,
        ledger: ThreadLedger,
        tenant: str,
        read: ReadSoFar,
    ) -> None:
        self._reader = ThreadReader(client, channel, read)
        self._channel = channel
        self._ledger = ledger
        self._tenant = tenant
        self._listed: dict[str, tuple[str, int]] = {}
        self._visibility: Visibility | None = None
        self._is_over = ""
        self.dropped: list[str] = []
        self.again_after_s: float | None = None

    @property
    def source(self) -> str:
        return source_of(self._channel)

    async def listing(self) -> AsyncIterator[FoundDocument | FailedDocument | SkippedFile]:
        """Latest thread first: under a tight rate limit what is new is searchable first."""
        self._visibility = (await self._ledger.standing(str(self._channel))).visibility
        if self._visibility is None:
            return
        acl = channel_acl(self._tenant, self._channel, self._visibility)
        threads = await self._ledger.threads(str(self._channel))
        self._listed = {
            document_id(self._channel, root): (root, at) for root, at in threads.items()
        }
        for id, (_, at) in sorted(self._listed.items(), reverse=True):
            yield FoundDocument(id, acl, content_hash(at))

    async def load(self, document_id: str) -> LoadedDocument:
        if document_id not in self._listed:
            raise IngestError(f"{document_id}: is not in {self.source}")
        if self._is_over:
            raise IngestError(f"{document_id}: not read yet, {self._is_over}; the next sync does")
        root, at = self._listed[document_id]
        try:
            thread = await self._reader.thread(root, at)
            if not thread or thread[0].ts != root or not is_document(thread):
                await self._drop(root, at)
                raise IngestError(f"{document_id}: is no thread to index")
            names = await self._reader.names(thread)
            link = await self._reader.link(root)
        except SLACK_FAILURES as error:
            code, pause = slack_error(error), pause_s(error)
            if code in _GONE:
                await self._drop(root, at)
            elif pause is not None or code in _REFUSALS:
                self._is_over, self.again_after_s = what_failed(error), pause
            raise IngestError(f"{document_id}: cannot be read, {what_failed(error)}") from error
        markdown = markdown_of(thread, names)
        document = Document(
            id=document_id,
            source=self.source,
            title=title_of(thread[0], names),
            acl=channel_acl(self._tenant, self._channel, self._visibility),
            content_hash=content_hash(at),
            link=link,
            owner=SlackPerson(self._channel.home, thread[0].user).ref(self._tenant).id,
            language=language_of("\n".join(message.text for message in thread)[:10_000]),
            modified_at=modified_at(thread),
        )
        return LoadedDocument(document, markdown)

    async def _drop(self, root: str, at: int) -> None:
        # Not for good: Slack may not show yet what it has told us of.
        await self._ledger.drop(str(self._channel), root, by=at, for_good=False)
        self.dropped.append(document_id(self._channel, root))
