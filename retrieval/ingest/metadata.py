"""What a document says about itself: front matter, header attributes, meta tags, sidecars; read into typed values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser

import yaml

from retrieval.access import (
    PUBLIC,
    Acl,
    Level,
    Principal,
    group_principal,
    tenant_principal,
    user_principal,
)
from retrieval.errors import IngestError
from retrieval.ingest.clean import parseable
from retrieval.types import Language

FIELDS = frozenset(
    ["title", "owner", "updated", "review", "level", "acl", "lang", "version", "supersedes", "link"]
)
"""The keys we read; any other key is the author's own business."""

ACCESS_FIELDS = frozenset({"acl", "level"})

_ENDING = re.compile(r"\.(?:md|adoc|html?|pdf|docx|xls[xm]|ppt[xm]|txt)$")


@dataclass(frozen=True, slots=True)
class Metadata:
    """
    A document's own statements; None where it says nothing.

    Attributes:
        acl: Names as written (`public`, `everyone`, `user:NAME`, `group:NAME`, `NAME`).
        supersedes: Id of the document that this one replaces.
    """

    title: str | None = None
    owner: str | None = None
    updated: datetime | None = None
    review: datetime | None = None
    level: Level | None = None
    acl: tuple[str, ...] | None = None
    language: Language | None = None
    version: str | None = None
    supersedes: str | None = None
    link: str | None = None


def parse_metadata(fields: Mapping[str, object]) -> Metadata:
    """
    Typed values of *fields* (strings, or a list of strings for `acl`).

    Raises:
        IngestError: A value cannot be understood; the text says what would be.
    """
    return Metadata(
        title=_text(fields, "title"),
        owner=_text(fields, "owner"),
        updated=_date(fields, "updated"),
        review=_date(fields, "review"),
        level=_level(_text(fields, "level")),
        acl=_names(fields.get("acl")),
        language=_language(_text(fields, "lang")),
        version=_text(fields, "version"),
        supersedes=_document_id(_text(fields, "supersedes")),
        link=_link(_text(fields, "link")),
    )


def access_list(names: Iterable[str], tenant: str, level: Level | None = None) -> Acl:
    """
    The access list that *names* stand for. Without a level: public if anybody may read it, else internal.

    Raises:
        IngestError: No names, or one that stands for nobody.
    """
    principals = frozenset(_principal(name.strip(), tenant) for name in names)
    if not principals:
        raise IngestError(
            "says nobody may read it; name the readers in `acl:`, for example `acl: [everyone]`"
        )
    if level is None:
        level = Level.PUBLIC if PUBLIC in principals else Level.INTERNAL
    return Acl(principals, level)


def split_front_matter(text: str) -> tuple[dict[str, object], str]:
    """
    The YAML between `---` lines at the very top, and the rest.

    Raises:
        IngestError: It is no YAML mapping, or never ends. Reading on as if there were none could
            lose an access list.
    """
    if not re.match(r"\s*---[ \t]*\n", text):
        return {}, text
    text = text.lstrip()
    end = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.M).search(text, text.index("\n") + 1)
    if end is None:
        raise IngestError("begins with `---` but its front matter never ends; close it with `---`")
    return parse_yaml(text[text.index("\n") + 1 : end.start()]), text[end.end() :].lstrip("\n")


def parse_yaml(text: str) -> dict[str, object]:
    try:
        # Every scalar stays a string: version 1.10 is not the number 1.1.
        fields = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1} of it" if mark else ""
        raise IngestError(
            f"has metadata that is not valid YAML{where}; put values with a colon in quotes"
        ) from error
    if fields is None or fields == "":
        return {}
    if not isinstance(fields, dict):
        raise IngestError("has metadata that is not a list of `key: value` lines")
    return {str(key).lower(): value for key, value in fields.items()}


def split_asciidoc_header(text: str) -> tuple[dict[str, object], str]:
    """
    The `:key: value` lines around the title that we know, and the text without them.

    Raises:
        IngestError: A key that decides access stands below the header, where it would not count.
    """
    fields: dict[str, object] = {}
    kept: list[str] = []
    has_title = in_comment = False
    lines = text.split("\n")
    for end, line in enumerate(lines):  # noqa: B007
        attribute = re.match(r":([a-z]+):[ \t]+(\S.*)$", line)
        if line.startswith("////"):
            in_comment = not in_comment
        elif in_comment:
            pass
        elif attribute and attribute[1] in FIELDS:
            _put(fields, attribute[1], attribute[2].strip())
            continue
        elif line.startswith("= "):
            has_title = True
        elif (has_title and not line.strip()) or not (has_title or _BEFORE_TITLE.match(line)):
            break
        kept.append(line)
    else:
        end = len(lines)
    body = lines[end:]
    for line in body:
        if misplaced := re.match(r":(acl|level):", line):
            raise IngestError(f"has `:{misplaced[1]}:` too low; move it right below the title")
    return fields, "\n".join(kept + body)


_BEFORE_TITLE = re.compile(r"\s*$|:|//|\[|(?:ifn?def|endif|include)::")


def html_meta(text: str) -> dict[str, object]:
    """The `<meta name="shifu:KEY" content="…">` of the head; what follows `<body>` is not asked."""
    parser = _MetaParser()
    parser.feed(parseable(text))
    return parser.fields


class _MetaParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, object] = {}
        self._in_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_body = self._in_body or tag == "body"
        if tag != "meta" or self._in_body:
            return
        values = {key: value or "" for key, value in attrs}
        kind, _, key = values.get("name", "").lower().partition(":")
        if kind == "shifu" and key in FIELDS:
            _put(self.fields, key, values.get("content", ""))


def _put(fields: dict[str, object], key: str, value: str) -> None:
    # Two access lists in one document: whichever we took, somebody meant the other.
    if key in fields:
        raise IngestError(f"says `{key}` twice; keep one")
    fields[key] = value


def _text(fields: Mapping[str, object], key: str) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise IngestError(f"has `{key}` as a list; write one value")
    return " ".join(value.split()) or None


def _names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise IngestError("has an `acl` that is not a list of names; write `acl: [design, lab]`")
    return tuple(name.strip() for name in names if name.strip())


def _principal(name: str, tenant: str) -> Principal:
    if name.lower() == "public":
        return PUBLIC
    if name.lower() == "everyone":
        return tenant_principal(tenant)
    kind, colon, rest = name.partition(":")
    try:
        if not colon:
            return group_principal(tenant, name)
        if kind in ("user", "group"):
            return (user_principal if kind == "user" else group_principal)(tenant, rest.strip())
    except ValueError as error:
        raise IngestError(f"names {name!r} in `acl`, which is no name: {error}") from error
    raise IngestError(
        f"names {name!r} in `acl`; use public, everyone, user:NAME, group:NAME or a group's NAME"
    )


def _level(value: str | None) -> Level | None:
    if value is None:
        return None
    try:
        return Level[value.upper()]
    except KeyError:
        allowed = ", ".join(level.name.lower() for level in Level)
        raise IngestError(f"has the unknown level {value!r}; allowed are {allowed}") from None


def _date(fields: Mapping[str, object], key: str) -> datetime | None:
    value = _text(fields, key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise IngestError(
            f"has `{key}: {value}`, which is not a date; write YYYY-MM-DD, like 2026-08-14"
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _language(value: str | None) -> Language | None:
    """None for a language we do not know by name: the text itself is looked at then."""
    code = (value or "").lower().replace("_", "-").partition("-")[0]
    return {"en": Language.ENGLISH, "zh": Language.CHINESE}.get(code)


def _document_id(value: str | None) -> str | None:
    return _ENDING.sub("", value.strip("/")) if value else None


def _link(value: str | None) -> str | None:
    if value is not None and not re.match(r"https?://[^\s<>\"]+$", value):
        raise IngestError(f"has the link {value!r}; a link begins with https:// or http://")
    return value
