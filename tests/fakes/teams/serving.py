"""What every request goes through before and after its handler: outages, faults, limits, records."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.fakes.teams.faults import problem_body
from tests.fakes.teams.platform import Grant, RecordedCall, Teams
from tests.fakes.teams.routes import Answer, Handled
from tests.fakes.teams.world import Refused

Work = Callable[[], Handled | Awaitable[Handled]]


class Serving:
    """*area* is `connector`, `graph`, `login` or `keys`: what can be away as a whole."""

    def __init__(self, teams: Teams, area: str) -> None:
        self._teams = teams
        self._area = area

    async def serve(
        self,
        request: web.Request,
        record: RecordedCall,
        work: Work,
        *,
        limits: tuple[str, ...] = (),
        key: str = "",
    ) -> web.StreamResponse:
        """
        Answer *request* by *work*, unless something is to go wrong.

        Args:
            limits: Names of the rate limits that count it, within *key*.
        """
        faults = self._teams.faults
        fault = faults.next((record.name, self._area, "*"))
        if fault and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if self._area in faults.down:
            record.status, record.code = 503, "down"
            return web.Response(status=503, text="<html>Service unavailable</html>")
        if fault and fault.status is not None:
            told_wait = fault.retry_after_s is not None
            wait = {"Retry-After": f"{fault.retry_after_s:g}"} if told_wait else {}
            if fault.raw is not None:
                record.status, record.code = fault.status, "fault"
                return web.Response(status=fault.status, text=fault.raw, headers=wait)
            return told(record, Answer(fault.status, problem_body(fault), wait))
        wait_s = faults.retry_after_s((record.name, *limits, self._area), key)
        if wait_s is not None:
            told_limit = {"error": {"code": "TooManyRequests", "message": "Quota exceeded."}}
            return told(record, Answer(429, told_limit, {"Retry-After": f"{wait_s:g}"}))
        try:
            result = work()
            answer = await result if inspect.isawaitable(result) else result
        except Refused as refusal:
            answer = Answer(refusal.status, refusal.body, refusal.headers)
        if fault and fault.late_s:
            await asyncio.sleep(fault.late_s)
        response = told(record, answer)
        if fault and fault.drops_answer and request.transport is not None:
            record.code = "dropped"
            request.transport.abort()
        return response


def told(record: RecordedCall, answer: Handled) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        record.status = answer.status
        return answer
    whole = answer if isinstance(answer, Answer) else Answer(200, answer)
    record.status, record.answer = whole.status, whole.body
    record.code = str(((whole.body or {}).get("error") or {}).get("code") or "")
    if whole.body is None:
        return web.Response(status=whole.status, headers=whole.headers)
    return web.json_response(whole.body, status=whole.status, headers=whole.headers)


def granted(teams: Teams, request: web.Request) -> Grant | None:
    """What the token of *request* stands for, while it does."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    grant = teams.grants.get(token) if scheme.lower() == "bearer" else None
    return grant if grant and grant.expires_at > teams.clock.now() else None
