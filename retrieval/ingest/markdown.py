"""Markdown as its readers see it: no comments, hidden HTML or template tags; raw HTML becomes Markdown."""

import html
import re

from retrieval.ingest.clean import without_hidden_html
from retrieval.ingest.html import html_to_markdown

# Only real HTML names: `<project>` in a text is a placeholder that people wrote.
_TAGS = (
    "a|abbr|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|colgroup|dd|del|"
    "details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|"
    "img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|p|pre|q|s|samp|section|small|span|strike|"
    "strong|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var|video|wbr"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.I)
_HTML_BLOCK = re.compile(r"^[ \t]*<(table|ul|ol|dl)\b", re.I | re.M)
_HTML_LINK = re.compile(
    r"<a\s[^<>]{0,500}?href=[\"'](https?://[^\"'\s]+)[\"'][^<>]{0,500}>([^<]{0,500})</a>", re.I
)
_HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.{0,500}?)</h\1>", re.I | re.S)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.I)
_LINE_BREAKS = re.compile(r"(?:\s*<br\s*/?>\s*)+", re.I)

# A decoded `<` could become a tag, and did not look like one to the reader.
_ENTITY = re.compile(
    r"&(?!lt;|gt;|#0*60;|#0*62;|#x0*3[ce];)(?:[a-z][a-z0-9]*|#\d+|#x[0-9a-f]+);", re.I
)
_HIDDEN_DEFINITION = re.compile(r"^[ ]{0,3}\[(?://|comment|_)\]:.*$\n?", re.M | re.I)
_TEMPLATE_COMMENT = re.compile(r"\{%-?\s*(end)?comment\s*-?%\}")
_TEMPLATE_LINE = re.compile(r"^[ \t]*\{%[^%\n]*%\}[ \t]*$\n?", re.M)
_TEMPLATE_IN_LINK = re.compile(r"(?<=\]\()\{\{[^{}\n]*\}\}")
_TEMPLATE_TAG = re.compile(r"\{%[^%]*?(?:[\"']([^\"']*)[\"'][^%]*?)?%\}")


def shown_markdown(text: str) -> str:
    """*text*, whose code is masked, as it reads once it is rendered; plain CommonMark stays as it is."""
    if "{%" in text:
        # Site generators: a tag alone on its line places something else, one in a line names it.
        text = _TEMPLATE_LINE.sub("", _without_template_comments(text))
        text = _TEMPLATE_TAG.sub(lambda match: match[1] or "", text)
    text = _TEMPLATE_IN_LINK.sub("", text)
    text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    text = _HIDDEN_DEFINITION.sub("", text)
    if "<" not in text:
        return text
    text = without_hidden_html(text)
    text = _converted_blocks(text)
    text = _HTML_HEADING.sub(lambda m: f"\n{'#' * int(m[1])} {' '.join(m[2].split())}\n", text)
    text = _HTML_LINK.sub(r"[\2](\1)", text)
    text = _in_tables(text)
    return _TAG.sub("", _LINE_BREAK.sub("  \n", text))


def _without_template_comments(text: str) -> str:
    """As in the generators, a comment that never ends hides the rest."""
    kept, position = [], 0
    for match in _TEMPLATE_COMMENT.finditer(text):
        if match[1] is None and position >= 0:
            kept.append(text[position : match.start()])
            position = -1
        elif match[1] and position < 0:
            position = match.end()
    return "".join([*kept, text[position:] if position >= 0 else ""])


def _converted_blocks(text: str) -> str:
    """Raw tables and lists as Markdown; one that never ends only loses its tags, later."""
    lower, parts, position = text.lower(), [], 0
    never_end: set[str] = set()
    for match in _HTML_BLOCK.finditer(text):
        name = match[1].lower()
        if match.start() < position or name in never_end:
            continue
        end = lower.find(f"</{name}>", match.end())
        if end < 0:
            never_end.add(name)
            continue
        end += len(f"</{name}>")
        parts.append(
            f"{text[position : match.start()]}\n{html_to_markdown(text[match.start() : end])[1]}\n"
        )
        position = end
    return "".join([*parts, text[position:]])


def shown_line(text: str) -> str:
    """A title or heading as plain words."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _in_tables(text: str) -> str:
    """A line break inside a table row must not end the row."""
    return re.sub(r"^\|.*$", lambda m: _LINE_BREAKS.sub("; ", m.group()), text, flags=re.M)
