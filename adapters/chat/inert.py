"""Words of documents and models as Slack shows them: nothing in them notifies anybody or leads anywhere."""

import re

BREAK = "\u2060"
"""
The word joiner, which nobody sees and no parser reads across.

Slack documents how to escape its own markup, but not what its Markdown blocks make of escapes: an
entity or a backslash might be shown. This is the same under any reading.
"""

# What people copy from an answer is commands and file names; those stay as they are.
_FILE_ENDINGS = (
    "bat bin c cc cfg conf cpp css csv dat def do doc docx el f gds go gz h hpp htm html ini io jpg js "
    "json key lef lib log lst md mk ml mov odt pdf pl png pm pptx ps py rb rpt rs rtf sdc sh sp spef sql "
    "sv svg svh tar tcl toml ts tsv txt upf v vhd xls xlsx xml yaml yml zip"
)
_FILES = frozenset(_FILE_ENDINGS.split())

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_FENCE = re.compile(r"( {0,3})(`{3,})([^\n]*)")
_TILDES = re.compile(r" {0,3}~{3,}")
_BACKTICKS = re.compile(r"\\.|`+")

_BEFORE = re.compile(
    r"(?i)(?:script|mailto|data|tel|sms|slack|file)(?=\\?:)|\bwww(?=\\?\.)|@(?=\S)|/(?=\\?/)"
)
_MARKUP = re.compile(r"<(?=\S)|&(?=[#\w])|\](?=[(\[:])")
_HOST = re.compile(r"(?<![\w-])[\w-]++(?:\\?\.[\w-]++)+")
_CODE = re.compile(
    r"(?i)<(?=@|#[a-z]|!(?:here|channel|everyone|group|subteam|date)|[a-z][a-z0-9+.-]*:[^:\s])"
    r"|(?<=:)/?(?=/)|\bwww(?=\.)"
)


def inert_markdown(text: str) -> str:
    """For a Markdown block: headings, lists, tables, emphasis and code stay."""
    shown: list[str] = []
    fence: re.Match[str] | None = None
    is_clear = has_spans = True
    for line in re.split(r"(?<=\n)", _clean(text)):
        if fence is not None and line.strip() and not line.startswith(fence.group(1)):
            # Fenced code ends here if it is part of a list, else it does not: from here on there is
            # no telling what is code.
            fence, is_clear = None, False
        # Of tildes not every reader knows that they are a fence.
        is_clear = is_clear and (fence is not None or not _TILDES.match(line))
        opening = _FENCE.match(line) if is_clear else None
        if fence is not None:
            shown.append(_inert_code(line))
            fence = None if _closes(fence, line) else fence
        # An info string with a backtick makes it a span of code instead.
        elif opening and "`" not in opening.group(3):
            shown.append(_inert_prose(line))
            fence = opening
        elif has_spans or not line.strip():
            prose, has_spans = _inert_line(line)
            shown.append(prose)
        else:
            shown.append(_inert_prose(line))
    return "".join(shown)


def inert_mrkdwn(text: str) -> str:
    """For Slack's own markup, in which `&`, `<` and `>` are escaped."""
    return escaped(_without_addresses(_clean(text)))


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def one_line(text: str) -> str:
    return " ".join(_clean(text).split())


def _clean(text: str) -> str:
    """Without what JSON or Slack would not take."""
    return _CONTROL.sub("", _SURROGATE.sub("\ufffd", text))


def _closes(fence: re.Match[str], line: str) -> bool:
    found = _FENCE.fullmatch(line.rstrip("\r\n"))
    return bool(
        found and found.group(2).startswith(fence.group(2)) and not found.group(3).strip(" \t")
    )


def _inert_line(line: str) -> tuple[str, bool]:
    """
    A line of prose, with spans of code in it.

    Returns:
        False as well if a span may go on in the next line, up to the end of the paragraph.
    """
    shown: list[str] = []
    at = start = 0
    is_complete = True
    while found := _BACKTICKS.search(line, at):
        at = found.end()
        marks = found.group()
        if marks[0] == "\\":
            continue
        end = _end_of_span(line, marks, at)
        if end is None:
            is_complete = False
            continue
        if "|" in line[at:end]:
            # A cell of a table ends before a span does; whether this is a table, other lines tell.
            is_complete = False
            break
        shown += [_inert_prose(line[start : found.start()]), _inert_code(line[found.start() : end])]
        start = at = end
    return "".join([*shown, _inert_prose(line[start:])]), is_complete


def _end_of_span(line: str, marks: str, at: int) -> int | None:
    for found in re.finditer(r"`+", line[at:]):
        if found.group() == marks:
            return at + found.end()
    return None


def _inert_prose(text: str) -> str:
    return _without_addresses(_MARKUP.sub(lambda found: found.group() + BREAK, text))


def _inert_code(text: str) -> str:
    # Weaker, so that what is copied still works; no link can begin inside code.
    return _CODE.sub(lambda found: found.group() + BREAK, text)


def _without_addresses(text: str) -> str:
    text = _BEFORE.sub(lambda found: found.group() + BREAK, text)
    return _HOST.sub(lambda found: _inert_host(found, text), text)


def _inert_host(found: re.Match[str], text: str) -> str:
    labels = found.group().split(".")
    follows = text[found.end() : found.end() + 1]
    if len(labels) == 2 and labels[1].lower() in _FILES and follows not in tuple("/:?#\\"):
        return found.group()
    return labels[0] + "".join(
        "." + (BREAK if len(label) > 1 and label[0].isalpha() else "") + label
        for label in labels[1:]
    )
