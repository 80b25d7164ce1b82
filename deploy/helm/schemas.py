"""Turns Kubernetes' own OpenAPI definitions into the strict JSON schemas that kubeconform reads."""

import json
import sys
from pathlib import Path
from typing import Any

_REF = "#/components/schemas/"


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    files = sorted((source / "api/openapi-spec/v3").glob("*_openapi.json"))
    if not files:
        sys.exit(f"schemas.py: no OpenAPI definitions in {source}")
    for file in files:
        definitions = json.loads(file.read_text("utf-8")).get("components", {}).get("schemas", {})
        for name, definition in definitions.items():
            for kind in definition.get("x-kubernetes-group-version-kind", []):
                schema = {"$ref": _REF + name, "components": {"schemas": {}}}
                _collect(name, definitions, schema["components"]["schemas"])
                (target / f"{_file_name(kind)}.json").write_text(json.dumps(schema), "utf-8")
    (target / ".complete").touch()


def _file_name(kind: dict[str, str]) -> str:
    # As kubeconform asks for it: the group without its domain.
    group = kind["group"].partition(".")[0]
    return "-".join(part for part in (kind["kind"], group, kind["version"]) if part).lower()


def _collect(name: str, definitions: dict[str, Any], collected: dict[str, Any]) -> None:
    """Put *name* and all that it refers to into *collected*: a schema has to stand by itself."""
    if name in collected:
        return
    collected[name] = None
    collected[name] = _strict(definitions[name], definitions, collected)


def _strict(node: Any, definitions: dict[str, Any], collected: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_strict(item, definitions, collected) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        _collect(reference.removeprefix(_REF), definitions, collected)
        return {"$ref": reference}
    # Defaults and descriptions only cost time, and formats such as int-or-string are no standard ones.
    dropped = ("description", "default", "format")
    kept = {
        key: _strict(value, definitions, collected)
        if key != "properties"
        else {name: _strict(inner, definitions, collected) for name, inner in value.items()}
        for key, value in node.items()
        if key not in dropped and not key.startswith("x-kubernetes-")
    }
    if "properties" in node and "additionalProperties" not in node:
        kept["additionalProperties"] = False
    return kept


if __name__ == "__main__":
    main()
