"""What one person sees in place of a shared card is theirs alone, for a day, and only while they may read it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.teams.personal_cards import (
    SHARED_TTL_S,
    TTL_S,
    InMemoryPersonalCards,
    PersonalCard,
    PersonalCards,
    RedisPersonalCards,
    personal_view,
)
from bot.messages import UserRef
from bot.redis_client import RedisClient, close_redis, open_redis

ANN, BEN = UserRef("acme", "teams:home/ann"), UserRef("acme", "teams:home/ben")
EVENT, OTHER = "teams:19:x;messageid=1/2", "teams:19:x;messageid=1/3"
CARD = PersonalCard(ANN, {"type": "AdaptiveCard", "body": [{"text": "只給 Ann"}]}, ("c1", "c2"))


async def may_read(chunk_ids: Sequence[str]) -> bool:
    return set(chunk_ids) <= {"c1", "c2"}


class PersonalCardsContract:
    async def test_a_card_is_found_by_the_event_that_it_answers(self, cards: PersonalCards) -> None:
        await cards.keep(EVENT, CARD)

        assert await cards.find(EVENT) == CARD
        assert await cards.find(OTHER) is None

    async def test_the_last_one_counts_and_none_that_is_dropped(self, cards: PersonalCards) -> None:
        await cards.keep(EVENT, replace(CARD, chunk_ids=()))
        await cards.keep(EVENT, CARD)
        assert await cards.find(EVENT) == CARD

        await cards.drop(EVENT)
        await cards.drop(OTHER)

        assert await cards.find(EVENT) is None

    async def test_somebody_who_is_forgotten_has_none(self, cards: PersonalCards) -> None:
        await cards.keep(EVENT, CARD)
        await cards.keep(OTHER, replace(CARD, user=BEN))

        await cards.forget(ANN)

        assert await cards.find(EVENT) is None
        assert await cards.find(OTHER) == replace(CARD, user=BEN)

    async def test_what_everybody_sees_is_kept_beside_it(self, cards: PersonalCards) -> None:
        await cards.keep(EVENT, CARD)
        assert await cards.shared(EVENT) is None

        await cards.keep_shared(EVENT, {"text": "給大家"})

        assert await cards.shared(EVENT) == {"text": "給大家"}
        assert await cards.find(EVENT) == CARD

    async def test_its_person_sees_it_and_nobody_else(self, cards: PersonalCards) -> None:
        await cards.keep(EVENT, CARD)

        assert await personal_view(cards, EVENT, ANN, may_read) == CARD.card
        assert await personal_view(cards, EVENT, BEN, may_read) is None
        assert await personal_view(cards, OTHER, ANN, may_read) is None

    async def test_nobody_sees_it_who_may_not_read_all_of_its_sources_any_more(
        self, cards: PersonalCards
    ) -> None:
        await cards.keep(EVENT, replace(CARD, chunk_ids=("c1", "c3")))

        assert await personal_view(cards, EVENT, ANN, may_read) is None


class TestInMemoryPersonalCards(PersonalCardsContract):
    @pytest.fixture
    def cards(self) -> PersonalCards:
        return InMemoryPersonalCards()

    async def test_they_are_forgotten_after_their_time(self) -> None:
        now = 0.0
        cards = InMemoryPersonalCards(clock=lambda: now)
        await cards.keep(EVENT, CARD)
        await cards.keep_shared(EVENT, {})

        now = SHARED_TTL_S + 1
        assert await cards.shared(EVENT) is None
        assert await cards.find(EVENT) == CARD
        now = TTL_S + 1

        assert await cards.find(EVENT) is None


class TestRedisPersonalCards(PersonalCardsContract):
    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[RedisClient]:
        redis = open_redis(redis_url)
        yield redis
        await close_redis(redis)

    @pytest.fixture
    def cards(self, redis: RedisClient, tmp_path: Path) -> PersonalCards:
        return RedisPersonalCards(redis, tenant=tmp_path.name)

    async def test_they_are_forgotten_after_their_time(
        self, cards: RedisPersonalCards, redis: RedisClient, tmp_path: Path
    ) -> None:
        await cards.keep(EVENT, CARD)
        await cards.keep_shared(EVENT, {})

        prefix = f"shifu:{tmp_path.name}:teams:"
        assert TTL_S - 60 < await redis.ttl(f"{prefix}card:{EVENT}") <= TTL_S
        assert 0 < await redis.ttl(f"{prefix}shared:{EVENT}") <= SHARED_TTL_S

    async def test_what_another_version_kept_counts_as_nothing(
        self, cards: RedisPersonalCards, redis: RedisClient, tmp_path: Path
    ) -> None:
        prefix = f"shifu:{tmp_path.name}:teams:"
        for kept in ("{", '{"v": 99}', '{"v": 1, "user": 3}'):
            await redis.set(f"{prefix}card:{EVENT}", kept)
            await redis.set(f"{prefix}shared:{EVENT}", kept)

            assert await cards.find(EVENT) is None
            assert await cards.shared(EVENT) is None
