"""Options of the whole test suite."""

import pytest
import structlog

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
