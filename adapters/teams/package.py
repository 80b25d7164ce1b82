"""The app package: manifest, its Chinese texts and two pictures, in the one file that Teams takes."""

import io
import json
import zipfile
from importlib.resources import files
from typing import Any

from adapters.teams.manifest import (
    CHINESE_FILE,
    COLOR_ICON,
    OUTLINE_ICON,
    ManifestOptions,
    chinese,
    manifest,
)

MANIFEST_FILE = "manifest.json"

# The same options make the same bytes, so that a package can be compared with the one in use.
_WRITTEN_AT = (2026, 1, 1, 0, 0, 0)


def package_files(options: ManifestOptions) -> dict[str, bytes]:
    """
    By name.

    Raises:
        ManifestInvalid: If Teams would refuse it.
    """
    icons = files("adapters.teams") / "icons"
    return {
        MANIFEST_FILE: _json(manifest(options)),
        CHINESE_FILE: _json(chinese(options)),
        COLOR_ICON: (icons / COLOR_ICON).read_bytes(),
        OUTLINE_ICON: (icons / OUTLINE_ICON).read_bytes(),
    }


def app_package(options: ManifestOptions) -> bytes:
    """
    A zip file with all of them at its top, as Teams wants it.

    Raises:
        ManifestInvalid: If Teams would refuse it.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in package_files(options).items():
            archive.writestr(zipfile.ZipInfo(name, _WRITTEN_AT), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
