"""Options of the whole test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--access-cases",
        type=int,
        default=None,
        metavar="N",
        help="Generate about N cases for the access properties of each store.",
    )
