"""The ledger of document libraries on Redis 6.2 or newer. It holds names and ids, nothing of what is in the files."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from adapters.teams.drive_ledger import DriveItem, DriveState
from bot.redis_client import RedisClient, answered, run_script
from bot.versioned_json import VersionedJson

_json = VersionedJson(1)

_ITEMS_PER_SCAN = 1000

# Sent twice because a reply was lost, it finds its own turn, and says so.
_TURN = """
local turn, drops = tonumber(ARGV[2]), tonumber(ARGV[4])
local before = tonumber(redis.call('HGET', KEYS[2], 'turn') or '0')
if before == turn and redis.call('HGET', KEYS[2], 'by') == ARGV[3] then return 1 end
if before ~= turn - 1 then return 0 end
for n = 5, 4 + drops do redis.call('HDEL', KEYS[1], ARGV[n]) end
for n = 5 + drops, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1]) end
redis.call('HSET', KEYS[2], 'turn', turn, 'by', ARGV[3], 'state', ARGV[1])
return 1
"""


class RedisDriveLedger:
    """
    `DriveLedger` under the keys `shifu:{<tenant>:sharepoint}:`, all in one slot of a Cluster.

    Args:
        redis: From `open_redis`; whoever opened it closes it.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._prefix = f"shifu:{{{tenant}:sharepoint}}:"

    async def state(self, drive: str) -> DriveState | None:
        text = await self._ask(self._redis.hget(self._of(drive)[1], "state"))
        if not text:
            return None
        state = _decoded_state(str(text))
        if state is None:
            # What another version wrote is read through anew.
            await self.forget(drive)
        return state

    async def items(self, drive: str) -> dict[str, DriveItem]:
        items: dict[str, DriveItem] = {}
        cursor = 0
        while True:
            scanned = self._redis.hscan(self._of(drive)[0], cursor, count=_ITEMS_PER_SCAN)
            cursor, found = await self._ask(scanned)
            items |= {str(id): item for id, text in found.items() if (item := _decoded(str(text)))}
            if int(cursor) == 0:
                return items

    async def turn(
        self,
        drive: str,
        state: DriveState,
        *,
        put: Iterable[DriveItem] = (),
        drop: Iterable[str] = (),
    ) -> bool:
        dropped = list(drop)
        pairs = [part for item in put for part in (item.id, _encoded(item))]
        by = uuid4().hex
        args = (_json.encode(asdict(state)), state.turn, by, len(dropped))
        written = await run_script(
            self._redis, _TURN, self._of(drive), *args, *dropped, *pairs, timeout_s=self._timeout_s
        )
        return bool(written)

    async def forget(self, drive: str) -> None:
        await self._ask(self._redis.delete(*self._of(drive)))

    def _of(self, drive: str) -> list[str]:
        """The library's items, and how far we are."""
        return [f"{self._prefix}{name}:{drive}" for name in ("items", "state")]

    async def _ask(self, command: Any) -> Any:
        return await answered(command, timeout_s=self._timeout_s)


def _encoded(item: DriveItem) -> str:
    values = {**asdict(item), "principals": sorted(item.principals)}
    # Most of most items is as it is for all.
    return _json.encode(
        {key: value for key, value in values.items() if value not in ("", 0, {}, [])}
    )


def _decoded(text: str) -> DriveItem | None:
    try:
        values = _json.decode(text)
        del values["v"]
        return DriveItem(**{**values, "principals": frozenset(values.get("principals", ()))})
    except (ValueError, KeyError, TypeError):
        return None


def _decoded_state(text: str) -> DriveState | None:
    try:
        values = _json.decode(text)
        del values["v"]
        return DriveState(**values)
    except (ValueError, KeyError, TypeError):
        return None
