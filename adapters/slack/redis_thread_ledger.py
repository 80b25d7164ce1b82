"""The ledger of threads on Redis 6.2 or newer. It holds ids and moments, nothing that anybody wrote."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from adapters.slack.thread_ledger import DROPPED_KEPT_US, Backfill, Standing, Touched, Visibility
from bot.redis_client import RedisClient, answered, run_script
from bot.versioned_json import VersionedJson

_json = VersionedJson(1)

_PER_CALL = 200

# Moments are scores: microseconds of this century are exact in a double. A repetition of any of these
# changes nothing, but for an epoch that grows by one more, which costs one more look.
_TOUCH = """
local root, at, is_new, is_shorter, channel = unpack(ARGV)
local dropped = tonumber(redis.call('ZSCORE', KEYS[3], root) or -1)
if is_new == '1' and tonumber(at) > dropped then
  redis.call('ZADD', KEYS[1], 'GT', at, root)
else
  redis.call('ZADD', KEYS[1], 'XX', 'GT', at, root)
end
local listed = redis.call('ZSCORE', KEYS[1], root) and 1 or 0
if listed == 1 and is_shorter == '1' then redis.call('ZADD', KEYS[2], 'GT', at, root) end
return {listed, redis.call('HGET', KEYS[4], channel) or ''}
"""

_FOUND = """
for n = 1, #ARGV, 2 do
  local root, at = ARGV[n], ARGV[n + 1]
  local dropped = tonumber(redis.call('ZSCORE', KEYS[2], root) or -1)
  if tonumber(at) > dropped then
    redis.call('ZADD', KEYS[1], 'GT', at, root)
  else
    redis.call('ZADD', KEYS[1], 'XX', 'GT', at, root)
  end
end
"""

_DROP = """
local root, by, for_good, kept = unpack(ARGV)
if for_good == '1' then
  redis.call('ZADD', KEYS[3], 'GT', by, root)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', tonumber(by) - tonumber(kept))
end
local at = redis.call('ZSCORE', KEYS[1], root)
if at and tonumber(at) <= tonumber(by) then
  redis.call('ZREM', KEYS[1], root)
  redis.call('ZREM', KEYS[2], root)
end
"""

_NARROW = """
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
"""

_SET_VISIBILITY = """
if (redis.call('HGET', KEYS[2], ARGV[1]) or '0') ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""

_STANDING = """
return {redis.call('HGET', KEYS[1], ARGV[1]) or '', redis.call('HGET', KEYS[2], ARGV[1]) or '0'}
"""

_FORGET = """
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4], KEYS[5], KEYS[6])
"""


class RedisThreadLedger:
    """
    `ThreadLedger` under the keys `shifu:{<tenant>:slack-index}:`, all in one slot of a Cluster.

    Args:
        redis: From `open_redis`; whoever opened it closes it.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._prefix = f"shifu:{{{tenant}:slack-index}}:"
        self._visibility = f"{self._prefix}visibility"
        self._epochs = f"{self._prefix}epochs"
        self._backfills = f"{self._prefix}backfills"

    async def touch(
        self, channel: str, root: str, at: int, *, is_new: bool, is_shorter: bool = False
    ) -> Touched:
        keys = [*self._of(channel), self._visibility]
        args = (root, at, int(is_new), int(is_shorter), channel)
        listed, visibility = await self._run(_TOUCH, keys, *args)
        return Touched(bool(listed), _visibility(visibility))

    async def found(self, channel: str, changed_at: Mapping[str, int]) -> None:
        items = list(changed_at.items())
        for start in range(0, len(items), _PER_CALL):
            pairs = [part for item in items[start : start + _PER_CALL] for part in item]
            threads, _, dropped = self._of(channel)
            await self._run(_FOUND, [threads, dropped], *pairs)

    async def drop(self, channel: str, root: str, *, by: int, for_good: bool) -> None:
        args = (root, by, int(for_good), DROPPED_KEPT_US)
        await self._run(_DROP, self._of(channel), *args)

    async def threads(self, channel: str) -> dict[str, int]:
        return await self._moments(self._of(channel)[0])

    async def shortened(self, channel: str) -> dict[str, int]:
        return await self._moments(self._of(channel)[1])

    async def standing(self, channel: str) -> Standing:
        keys = [self._visibility, self._epochs]
        visibility, epoch = await self._run(_STANDING, keys, channel)
        return Standing(_visibility(visibility), int(epoch))

    async def narrow(self, channel: str) -> None:
        await self._run(_NARROW, [self._visibility, self._epochs], channel, Visibility.MEMBERS)

    async def set_visibility(self, channel: str, visibility: Visibility, *, epoch: int) -> bool:
        keys = [self._visibility, self._epochs]
        return bool(await self._run(_SET_VISIBILITY, keys, channel, visibility, epoch))

    async def forget(self, channel: str) -> None:
        keys = [self._visibility, self._epochs, self._backfills, *self._of(channel)]
        await self._run(_FORGET, keys, channel)

    async def backfill(self, channel: str) -> Backfill | None:
        text = await self._ask(self._redis.hget(self._backfills, channel))
        return _decode(str(text)) if text else None

    async def save_backfill(self, channel: str, backfill: Backfill) -> None:
        text = _json.encode(asdict(backfill))
        await self._ask(self._redis.hset(self._backfills, channel, text))

    async def channels(self) -> list[str]:
        return sorted(map(str, await self._ask(self._redis.hkeys(self._visibility))))

    def _of(self, channel: str) -> list[str]:
        """The channel's threads, those that were shortened, and those that were dropped."""
        return [f"{self._prefix}{name}:{channel}" for name in ("threads", "shortened", "dropped")]

    async def _moments(self, key: str) -> dict[str, int]:
        found = await self._ask(self._redis.zrange(key, 0, -1, withscores=True))
        return {str(root): int(at) for root, at in found}

    async def _run(self, script: str, keys: list[str], *args: str | int) -> Any:
        return await run_script(self._redis, script, keys, *args, timeout_s=self._timeout_s)

    async def _ask(self, command: Any) -> Any:
        return await answered(command, timeout_s=self._timeout_s)


def _visibility(text: str) -> Visibility | None:
    return Visibility(text) if text else None


def _decode(text: str) -> Backfill | None:
    """None for what another version wrote: the channel is then read through anew."""
    try:
        values = _json.decode(text)
        return Backfill(
            known_by=int(values["known_by"]),
            before=str(values["before"]),
            pages=int(values["pages"]),
            threads=int(values["threads"]),
            is_done=bool(values["is_done"]),
            at=float(values["at"]),
        )
    except (ValueError, KeyError, TypeError, json.JSONDecodeError):
        return None
