"""The files that make up the page, held in memory."""

import hashlib
from dataclasses import dataclass
from importlib import resources

_CONTENT_TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    content: bytes
    content_type: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """All of the page, by name: few and small, and no request's path ever reaches the disk."""
    files: dict[str, PageFile] = {}
    for entry in resources.files("adapters.web").joinpath("static").iterdir():
        content_type = _CONTENT_TYPES.get(entry.name.rpartition(".")[2])
        if content_type and entry.is_file():
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            files[entry.name] = PageFile(content, content_type, etag)
    return files
