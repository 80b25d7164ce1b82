"""What every text goes through: encodings, invisible characters, hidden markup. Shown text is all that is indexed."""

import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser

from retrieval.errors import IngestError

# Zero width, bidirectional controls, soft hyphen, tag characters, halves of characters, and every other
# control but tab and line feed: nobody sees them, but they split words and hide instructions.
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_CODE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?:.*?\n)??[ \t]*(?P=fence)[`~]*[ \t]*$"
    r"|^[ \t]*(?:`{3,}|~{3,})[^`\n]*\n.*\Z"
    r"|(?<!`)(?P<tick>`+)(?!`)(?:(?!\n\s*\n).){1,2000}?(?<!`)(?P=tick)(?!`)",
    re.M | re.S,
)
_MASK = re.compile("\ue000(\\d+)\ue001")

_BEGUN_TAGS = 50

VOID_ELEMENTS = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)
_NEVER_SHOWN = frozenset(
    ["script", "style", "template", "noscript", "iframe", "object", "head", "title"]
)
_HIDING_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|font-size:0(?:[a-z%]+|\.0+[a-z%]*)?(?:;|!|$)"
    r"|opacity:0(?:\.0+)?%?(?:;|!|$)|text-indent:-\d{3,}"
    r"|position:(?:absolute|fixed).*(?:left|top|right|bottom):-\d{3,}"
    r"|(?:left|top|right|bottom):-\d{3,}.*position:(?:absolute|fixed)"
    r"|(?:^|;)(?:max-)?(?:width|height):0(?:px)?(?:;|!|$).*overflow:hidden"
    r"|clip(?:-path)?:(?:rect\((?:0(?:px)?,?){4}\)|inset\((?:50|100)%\))"
)


def decode(raw: bytes) -> str:
    """
    Text of a file in UTF-8, UTF-16 with its mark, or Big5, as old Windows files in Taiwan are.

    Raises:
        IngestError: It is none of these, or not text at all.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in raw:
        raise IngestError("is a binary file, not text; its ending may be wrong")
    else:
        encodings = ["utf-8-sig", "cp950"]
    for encoding in encodings:
        try:
            return visible(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise IngestError("is neither UTF-8 nor Big5 text; save it as UTF-8")


def visible(text: str) -> str:
    """*text* with plain line feeds and without characters that nobody sees."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply *change* to Markdown while its fenced blocks and code spans are out of reach."""
    kept: list[str] = []

    def mask(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\ue000{len(kept) - 1}\ue001"

    masked = _CODE.sub(mask, _MASK.sub("", text))
    return _MASK.sub(lambda match: kept[int(match[1])], change(masked))


def parseable(html: str, *, bracket: str = "&lt;") -> str:
    """
    *html* without what makes Python's parser take minutes: comments and tags that never end.

    An open comment swallows the rest, as in a browser. Where dozens of tags begin before one ends,
    none of them is one, and their brackets are text.
    """
    start = html.find("<!--", html.rfind("-->") + 1)
    if start >= 0:
        html = html[:start]
    parts = html.split(">")
    for n, part in enumerate(parts):
        if part.count("<") > _BEGUN_TAGS:
            head, _, tail = part.rpartition("<")
            parts[n] = f"{re.sub(r'<(?!!--)', bracket, head)}<{tail}"
    parts[-1] = parts[-1].replace("<", bracket)
    return ">".join(parts)


def is_hidden(tag: str, attributes: Iterable[tuple[str, str | None]]) -> bool:
    """Whether a browser would show nothing of this element."""
    values = {key: value or "" for key, value in attributes}
    return (
        tag in _NEVER_SHOWN
        or "hidden" in values
        or values.get("aria-hidden", "").strip().lower() == "true"
        or hides(values.get("style", ""))
    )


def hides(style: str) -> bool:
    """Whether a CSS declaration list takes an element out of sight."""
    return bool(_HIDING_STYLE.search(re.sub(r"/\*.*?\*/|\s+", "", style.lower())))


def without_hidden_html(markdown: str) -> str:
    """Markdown (code masked) without its comments and without raw HTML that is never shown."""
    # A comment that is never closed swallows the rest, as it does in a browser.
    markdown = re.sub(r"<!--.*?(?:-->|\Z)", "", markdown, flags=re.S)
    if "<" not in markdown:
        return markdown
    finder = _HiddenFinder(parseable(markdown, bracket="\x01"))
    parts, position = [], 0
    for start, end in finder.ranges():
        parts.append(markdown[position:start])
        position = max(position, end)
    return "".join([*parts, markdown[position:]])


class _HiddenFinder(HTMLParser):
    """Where hidden elements begin and end. Text around the tags is Markdown and passes by as data."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self._text = text
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._open: list[str] = []
        self._hidden_from: tuple[int, int] | None = None
        self._ranges: list[tuple[int, int]] = []

    def ranges(self) -> list[tuple[int, int]]:
        self.feed(self._text)
        self.close()
        if self._hidden_from is not None:
            self._ranges.append((self._hidden_from[1], len(self._text)))
        return self._ranges

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID_ELEMENTS:
            return
        if self._hidden_from is None and is_hidden(tag, attrs):
            self._hidden_from = (len(self._open), self._offset())
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # In HTML the slash means nothing: `<div hidden/>` still opens.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._open:
            return
        depth = len(self._open) - 1 - self._open[::-1].index(tag)
        del self._open[depth:]
        if self._hidden_from is not None and depth <= self._hidden_from[0]:
            end = self._text.find(">", self._offset())
            self._ranges.append((self._hidden_from[1], end + 1 if end >= 0 else len(self._text)))
            self._hidden_from = None

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column
