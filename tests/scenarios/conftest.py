"""Which engines the scenarios run on."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.embedded_redis import EmbeddedRedis
from tests import engines
from tests.engines import ProductionEngines


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of the environment, or one of our own."""
    if url := os.environ.get("SHIFU_TEST_REDIS_URL"):
        yield url
        return
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis.url


@pytest.fixture(autouse=True)
async def _engines(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    if request.config.getoption("--engines") != "production":
        yield
        return
    production = ProductionEngines(
        request.getfixturevalue("weaviate_server"), request.getfixturevalue("redis_url")
    )
    monkeypatch.setattr(engines, "current", production)
    yield
    await production.close()
