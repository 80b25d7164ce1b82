"""The app package against the schemas that Microsoft publishes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from adapters.teams.manifest import ManifestOptions, Slash, chinese, manifest
from adapters.teams.permissions import OptIn
from tests.playground.conftest import FOLDER

# Its patterns were not written for the strict reading of regular expressions.
_CHECK = """
const [schema, data] = process.argv.slice(1).map((file) => JSON.parse(require("fs").readFileSync(file)));
const ajv = new (require("ajv-draft-04").default)({ strict: false, allErrors: true, unicodeRegExp: false });
require("ajv-formats").default(ajv);
const check = ajv.compile(schema);
check(data);
console.log(JSON.stringify(check.errors ?? []));
"""


@pytest.mark.parametrize("slash", Slash)
@pytest.mark.parametrize("opt_ins", [frozenset[OptIn](), frozenset(OptIn)], ids=["least", "all"])
def test_microsoft_takes_it(slash: Slash, opt_ins: frozenset[OptIn], tmp_path: Path) -> None:
    options = ManifestOptions(
        "11111111-2222-3333-4444-555555555555",
        "https://shifu.example.com",
        opt_ins=opt_ins,
        slash=slash,
    )

    for made in (manifest(options), chinese(options)):
        assert _errors(made, tmp_path) == []


def _errors(made: dict[str, Any], folder: Path) -> Any:
    schemas = Path(FOLDER) / "node_modules/@microsoft/app-manifest/build/json-schemas/teams"
    schema = schemas / made["$schema"].partition("/teams/")[2]
    data = folder / "made.json"
    data.write_text(json.dumps(made), encoding="utf-8")
    checked = subprocess.run(
        ["node", "-e", _CHECK, schema, data], cwd=FOLDER, capture_output=True, check=True
    )
    return json.loads(checked.stdout)
