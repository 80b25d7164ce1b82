"""Nothing reports home, whatever is imported first."""

import os
import subprocess
import sys

import pytest

_ASK = "import haystack.telemetry._telemetry as haystack; print(haystack.telemetry)"


@pytest.mark.parametrize("module", ["bot.answering", "retrieval.components", "retrieval.pipeline"])
def test_haystack_sends_no_usage_to_its_makers(module: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "HAYSTACK_TELEMETRY_ENABLED"}

    told = subprocess.run(
        [sys.executable, "-c", f"import {module}; {_ASK}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == "None"
