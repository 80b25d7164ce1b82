"""Options of the whole test suite."""

from collections.abc import Iterator

import pytest
import structlog

from tests.weaviate_server import WeaviateServer, a_weaviate_server

# Without this a logged exception is drawn with every local variable, which takes seconds each time.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--access-cases",
        type=int,
        default=None,
        metavar="N",
        help="Generate about N cases for the access properties of each store.",
    )
    parser.addoption(
        "--engines",
        choices=["memory", "production"],
        default="memory",
        help="What the scenarios and the browser run on: the in-memory twins, or Weaviate and Redis.",
    )


@pytest.fixture(scope="session")
def weaviate_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    """One for all tests; each opens a tenant of its own."""
    with a_weaviate_server(tmp_path_factory.mktemp("weaviate")) as server:
        yield server
