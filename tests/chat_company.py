"""What running the whole product in a chat platform's double has in common."""

from adapters.app import Knowledge
from bot import texts
from bot.answering import Answerer
from bot.redis_client import close_redis, open_redis
from retrieval.models import LanguageModel
from retrieval.pipeline import AnswerPipeline
from retrieval.store import ChunkStore

_STATUSES = (*texts.SEARCHING.values(), *texts.TRYING_AGAIN.values(), *texts.NEXT_IN_TURN.values())


def is_final(text: str) -> bool:
    """Not only what the bot is doing."""
    return not any(status in text for status in _STATUSES)


def knowledge_of(store: ChunkStore, model: LanguageModel | None) -> Knowledge:
    pipeline = AnswerPipeline(store, embedder=None, model=model)
    return Knowledge(store, None, model, pipeline, Answerer(pipeline, store, model))


async def empty(redis_url: str) -> None:
    """Of what earlier tests left: all companies are the same tenant."""
    redis = open_redis(redis_url)
    await redis.flushdb()
    await close_redis(redis)
