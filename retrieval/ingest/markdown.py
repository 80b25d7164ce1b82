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
_HTML_BLOCK = re.compile(r"^[ \t]*<(table|ul|ol|dl)\b.*?</\1\s*>", re.I | re.M | re.S)
_HTML_LINK = re.compile(r"<a\s[^>]*?href=[\"'](https?://[^\"'\s]+)[\"'][^>]*>([^<]*)</a>", re.I)
_HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.I | re.S)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.I)
_LINE_BREAKS = re.compile(r"(?:\s*<br\s*/?>\s*)+", re.I)

# A decoded `<` could become a tag, and did not look like one to the reader.
_ENTITY = re.compile(
    r"&(?!lt;|gt;|#0*60;|#0*62;|#x0*3[ce];)(?:[a-z][a-z0-9]*|#\d+|#x[0-9a-f]+);", re.I
)
_HIDDEN_DEFINITION = re.compile(r"^[ ]{0,3}\[(?://|comment|_)\]:.*$\n?", re.M | re.I)
_TEMPLATE_COMMENT = re.compile(r"\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}", re.S)
_TEMPLATE_LINE = re.compile(r"^[ \t]*\{%[^%\n]*%\}[ \t]*$\n?", re.M)
_TEMPLATE_IN_LINK = re.compile(r"(?<=\]\()\{\{[^{}\n]*\}\}")
_TEMPLATE_TAG = re.compile(r"\{%[^%]*?(?:[\"']([^\"']*)[\"'][^%]*?)?%\}")


def shown_markdown(text: str) -> str:
    """*text*, whose code is masked, as it reads once it is rendered; plain CommonMark stays as it is."""
    if "{%" in text:
        # Site generators: a tag alone on its line places something else, one in a line names it.
        text = _TEMPLATE_LINE.sub("", _TEMPLATE_COMMENT.sub("", text))
        text = _TEMPLATE_TAG.sub(lambda match: match[1] or "", text)
    text = _TEMPLATE_IN_LINK.sub("", text)
    text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    text = _HIDDEN_DEFINITION.sub("", text)
    if "<" not in text:
        return text
    text = without_hidden_html(text)
    text = _HTML_BLOCK.sub(lambda match: f"\n{html_to_markdown(match.group())[1]}\n", text)
    text = _HTML_HEADING.sub(lambda m: f"\n{'#' * int(m[1])} {' '.join(m[2].split())}\n", text)
    text = _HTML_LINK.sub(r"[\2](\1)", text)
    text = _in_tables(text)
    return _TAG.sub("", _LINE_BREAK.sub("  \n", text))


def shown_line(text: str) -> str:
    """A title or heading as plain words."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _in_tables(text: str) -> str:
    """A line break inside a table row must not end the row."""
    return re.sub(r"^\|.*$", lambda m: _LINE_BREAKS.sub("; ", m.group()), text, flags=re.M)
