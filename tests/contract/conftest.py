"""Real Redis servers for the contract tests, each started once."""

from collections.abc import Iterator

import pytest

from bot.embedded_redis import EmbeddedRedis
from tests.redis_servers import Cluster, Replicated, running


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As the product starts it."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis.url


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Cluster(tmp_path_factory.mktemp("cluster"))) as cluster:
        yield cluster.url


@pytest.fixture(scope="session")
def sentinel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Replicated(tmp_path_factory.mktemp("sentinel"))) as replicated:
        yield replicated.url
