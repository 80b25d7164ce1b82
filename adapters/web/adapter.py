"""The web page's routes: its files, a JSON interface, and the stream of events."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog
from aiohttp import web

from adapters.web.asking import Accept, Asking, Stop
from adapters.web.channel import question_id
from adapters.web.feed import Feed, FetchChunks
from adapters.web.files import page_files
from adapters.web.guard import ApiError, Body, Guard, WebAccess, error_response, language_of
from adapters.web.message_log import MessageLogs
from adapters.web.messages import WebMessage
from adapters.web.render import passage_json, person_json
from adapters.web.rooms import Rooms
from adapters.web.streams import Streams
from bot.conversation import MAX_QUESTION_CHARACTERS
from bot.directory import Directory, Person
from bot.errors import ChannelUnavailable, DirectoryUnavailable, StateUnavailable
from bot.messages import Feedback, Rating
from bot.state import State
from retrieval.access import AccessScope
from retrieval.errors import StoreError
from retrieval.types import Language

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_COMMENT = 2_000


@dataclass(frozen=True, slots=True)
class WebOptions:
    """
    How the page behaves.

    Attributes:
        suggestions: Questions to start with, by language.
        questions_per_minute: Of one person.
    """

    suggestions: Mapping[Language, Sequence[str]] = field(default_factory=dict)
    questions_per_minute: int = 20
    heartbeat_s: float = 15.0


class WebAdapter:
    """
    Mounted by the composition root; `close` is its own part of the application's shutdown.

    Args:
        accept: Keeps a question until it is answered; once again changes nothing.
        stop: Ends the answering of what was accepted under that event id.
        logs: In which whoever answers posts.
    """

    def __init__(
        self,
        *,
        accept: Accept,
        stop: Stop,
        logs: MessageLogs,
        directory: Directory,
        store_fetch: FetchChunks,
        state: State,
        tenant: str,
        access: WebAccess,
        options: WebOptions | None = None,
    ) -> None:
        self._logs = logs
        self._options = options or WebOptions()
        self._directory = directory
        self._store_fetch = store_fetch
        self._state = state
        self._guard = Guard(access, directory, tenant=tenant)
        self._rooms = Rooms(directory, logs, tenant=tenant)
        self._asking = Asking(logs, accept, stop)
        self._streams = Streams(self._guard, logs)
        self._files = page_files()

    def mount(self, app: web.Application) -> None:
        page, api = self._page, self._api
        app.router.add_get("/", page(self._file))
        app.router.add_get("/static/{name}", page(self._file))
        app.router.add_get("/api/me", api(self._me))
        app.router.add_get("/api/events", api(self._events))
        app.router.add_get("/api/passages/{chunk_id:.+}", api(self._passage))
        app.router.add_post("/api/conversations", api(self._new_conversation))
        app.router.add_post("/api/messages", api(self._ask))
        app.router.add_post("/api/stop", api(self._stop))
        app.router.add_post("/api/feedback", api(self._rate))
        app.router.add_route("*", "/api/{rest:.*}", api(self._nothing))
        # Streams never end by themselves; the server would wait for them before it cleans up.
        app.on_shutdown.append(self._on_shutdown)

    async def close(self) -> None:
        """End the streams; what was asked is answered by whoever goes on."""
        self._streams.close()
        await self._asking.close()

    async def _on_shutdown(self, _: web.Application) -> None:
        await self.close()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        found = self._files.get(request.match_info.get("name", "index.html"))
        if found is None:
            raise ApiError(404, "not_found")
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == found.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=found.content, content_type=found.content_type, charset="utf-8", headers=headers
        )

    async def _me(self, request: web.Request) -> web.StreamResponse:
        people = list(await self._directory.people()) if self._guard.is_playground else None
        if people and "as" not in request.query:
            me = people[0]
        else:
            me = await self._guard.viewer(request)
        return web.json_response(
            {
                "mode": "playground" if self._guard.is_playground else "header",
                "me": person_json(me),
                "people": [person_json(p) for p in people] if people is not None else None,
                "rooms": await self._rooms.of(me),
                "directs": await self._rooms.directs(me),
                "suggestions": {k: list(v) for k, v in self._options.suggestions.items()},
                "max_question": MAX_QUESTION_CHARACTERS,
                "max_comment": MAX_COMMENT,
            }
        )

    async def _new_conversation(self, request: web.Request) -> web.StreamResponse:
        me = await self._guard.viewer(request)
        await Body.read(request)
        return web.json_response({"id": self._rooms.new_direct(me)}, status=201)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        me, body = await self._guard.viewer(request), await Body.read(request)
        question, client_id = body.text("text").strip(), body.id("client_id")
        if not question:
            raise ApiError(400, "question_empty")
        if len(question) > MAX_QUESTION_CHARACTERS:
            values = {"length": len(question), "limit": MAX_QUESTION_CHARACTERS}
            raise ApiError(422, "question_too_long", values)
        message_id = question_id(me.ref, body.text("conversation"), client_id or "")
        conversation = await self._rooms.conversation(
            me, body.text("conversation"), thread=body.id("thread", optional=True) or message_id
        )
        # What stands there already, the page sends once more because it heard of no success.
        asked = await self._logs.find(conversation, message_id, me.ref)
        if asked is None:
            await self._allow(me, "ask", self._options.questions_per_minute)
            asked = WebMessage(
                id=message_id,
                conversation=conversation,
                at=datetime.now(UTC),
                author=me.ref,
                author_name=me.name,
                text=question,
                client_id=client_id,
            )
        thread = asked.conversation.thread
        # In the thread where it stands, but of the kind that the place is of today.
        asked = replace(asked, conversation=replace(conversation, thread=thread))
        await self._asking.ask(asked, language_of(request))
        return web.json_response({"message": message_id, "thread": thread}, status=202)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        me, body = await self._guard.viewer(request), await Body.read(request)
        conversation = await self._rooms.conversation(me, body.text("conversation"), thread=None)
        question = await self._logs.find(conversation, body.id("message") or "", me.ref)
        # Stopping what has just finished is no mistake of the person's.
        can_stop = question is not None and question.is_open and question.author == me.ref
        if question and can_stop:
            await self._asking.stop(question, language_of(request))
        return web.json_response({"stopped": can_stop})

    async def _rate(self, request: web.Request) -> web.StreamResponse:
        me, body = await self._guard.viewer(request), await Body.read(request)
        message = await self._message(me, body)
        comment = body.text("comment", default="").strip()
        if len(comment) > MAX_COMMENT:
            raise ApiError(422, "comment_too_long", {"limit": MAX_COMMENT})
        try:
            rating = Rating(body.text("rating"))
        except ValueError:
            raise ApiError(400, "bad_request", {"field": "rating"}) from None
        if message.reply is None or message.reply.feedback_id is None:
            raise ApiError(409, "cannot_rate")
        await self._allow(me, "rate", 60)
        await self._state.save_feedback(
            Feedback(message.reply.feedback_id, me.ref, rating, datetime.now(UTC), comment)
        )
        await self._logs.rate(message, me.ref, rating)
        return web.json_response({"rating": rating})

    async def _passage(self, request: web.Request) -> web.StreamResponse:
        """For the one who looks: a passage cited to many may meanwhile be closed to one of them."""
        me = await self._guard.viewer(request)
        await self._allow(me, "read", 240)
        chunk_id = request.match_info["chunk_id"]
        found = await self._store_fetch([chunk_id], AccessScope.of([me.reader]))
        if not found:
            raise ApiError(404, "unknown_passage")
        owner = found[0].document.owner
        names = await self._rooms.names([owner] if owner else [])
        return web.json_response(passage_json(found[0], names))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        me = await self._guard.viewer(request)
        conversation_id = request.query.get("conversation", "")
        conversation = await self._rooms.conversation(me, conversation_id, thread=None)

        async def still_reading() -> Person | None:
            person = await self._directory.person(me.ref)
            if person is None or not await self._rooms.may_read(person, conversation_id):
                return None
            return person

        feed = Feed(
            self._logs,
            conversation,
            me.ref,
            still_reading,
            self._store_fetch,
            heartbeat_s=self._options.heartbeat_s,
        )
        return await self._streams.send(request, feed, me.ref)

    async def _nothing(self, _: web.Request) -> web.StreamResponse:
        raise ApiError(404, "not_found")

    async def _message(self, me: Person, body: Body) -> WebMessage:
        conversation = await self._rooms.conversation(me, body.text("conversation"), thread=None)
        message = await self._logs.find(conversation, body.id("message") or "", me.ref)
        if message is None:
            raise ApiError(404, "unknown_message")
        return message

    async def _allow(self, me: Person, what: str, per_minute: int) -> None:
        key = f"web.{what}:{me.ref.key}"
        if not await self._state.allow(key, limit=per_minute, per_s=60):
            raise ApiError(429, "too_many")

    def _api(self, handler: Handler) -> Handler:
        return self._guarded(handler, is_api=True)

    def _page(self, handler: Handler) -> Handler:
        return self._guarded(handler, is_api=False)

    def _guarded(self, handler: Handler, *, is_api: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            response = await self._answered(handler, request)
            if not response.prepared:
                self._guard.secured(response, is_api=is_api)
            return response

        return handle

    async def _answered(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        try:
            self._guard.check(request)
            return await handler(request)
        except ApiError as error:
            return error_response(request, error)
        except (ChannelUnavailable, StateUnavailable) as error:
            log.warning("web.no_messages", path=request.path, error=str(error))
            return error_response(request, ApiError(503, "no_messages"))
        except StoreError as error:
            log.warning("web.no_documents", path=request.path, error=str(error))
            return error_response(request, ApiError(503, "no_documents"))
        except DirectoryUnavailable as error:
            log.warning("web.unavailable", path=request.path, error=str(error))
            return error_response(request, ApiError(503, "unavailable"))
        except web.HTTPException:
            raise
        except Exception:
            # The edge of a request, as around a turn: logged here, and never shown to anybody.
            log.exception("web.request_failed", path=request.path)
            return error_response(request, ApiError(500, "failed"))
