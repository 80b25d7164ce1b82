"""What an app posts to a `response_url`."""

import asyncio

from aiohttp import web

from tests.fakes.slack.chat import content
from tests.fakes.slack.platform import RESPONSE_URL_USES, RecordedCall, ResponseUrl, Slack
from tests.fakes.slack.world import Json, Refused

METHOD = "response_url"


async def take_response(slack: Slack, request: web.Request) -> web.Response:
    """Counted and recorded like a call, under the name `response_url`."""
    body: Json = await request.json()
    known = slack.response_urls.get(request.match_info["id"])
    record = RecordedCall(METHOD, body, request.match_info["team"], slack.clock.now())
    slack.calls.append(record)
    fault = slack.faults.next(METHOD)
    if fault and fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    status = 503 if slack.faults.is_down else (fault.status if fault else None)
    if status is not None:
        record.status, record.error = status, "http_error"
        return web.Response(status=status, text="upstream error")
    error = fault.error if fault else None
    if known is None:
        error = error or "no_such_url"
    elif slack.clock.now() > known.expires_at:
        error = error or "expired_url"
    elif known.uses >= RESPONSE_URL_USES:
        error = error or "used_url"
    if error is not None or known is None:
        return _refusal(record, error or "")
    known.uses += 1
    try:
        _apply(slack, known, body)
    except Refused as refusal:
        return _refusal(record, refusal.error)
    return web.Response(text="ok")


def post_answer(slack: Slack, known: ResponseUrl, body: Json) -> None:
    """A new message, for the one who asked unless it says `in_channel`."""
    text, blocks = content(body)
    install = slack.world.install_in(known.channel.team)
    is_public = body.get("response_type") == "in_channel"
    thread_ts = body.get("thread_ts") or known.thread_ts
    slack.post(
        known.channel,
        install.bot_user if install else "UBOT",
        bot_id=install.bot_id if install else None,
        text=text,
        blocks=blocks,
        thread_ts=thread_ts,
        ephemeral_to=None if is_public else known.user.id,
        is_unseen=not is_public
        and thread_ts is not None
        and not slack.log.is_active_thread(known.channel, thread_ts),
    )


def _apply(slack: Slack, known: ResponseUrl, body: Json) -> None:
    source = known.source
    if body.get("delete_original"):
        if source is None:
            raise Refused("no_original")
        source.is_deleted = True
    elif body.get("replace_original") and source is not None:
        text, blocks = content(body)
        source.show(text, blocks)
    else:
        # After a command there is nothing to replace: Slack posts a second message.
        post_answer(slack, known, body)


def _refusal(record: RecordedCall, error: str) -> web.Response:
    record.status, record.error = 404, error
    return web.json_response({"ok": False, "error": error}, status=404)
