"""Text in which nothing can be followed or fetched: what documents and models write is shown as words alone."""

import html
import re
from urllib.parse import urlsplit

_ROUNDS = 12

_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z][a-z0-9]*);", re.I)
_ESCAPED = re.compile(r"\\([\[\]()<>!:])")
_IMAGE = re.compile(r"!\[[^\[\]]*\]\s*(?:\([^()\n]*\)?|\[[^\[\]]*\])")
# A label may hold one more pair of brackets; what is nested deeper goes from the inside out.
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?:[^()\n]|\([^()\n]*\))*\)?")
_LINK_DEFINITION = re.compile(r"(^|[\s>])\[([^\[\]]+)\]:")
# Full-width letters and signs too: some programs fold them before they look for addresses.
_AUTOLINK = re.compile(r"<(?:[a-z][a-z0-9+.\-]*:[^\s<>]*|[^\s<>@]+@[^\s<>]+)>", re.I)
_ADDRESS = re.compile(
    r"(?:"
    r"[a-z0-9ａ-ｚ０-９+.\-]*[:：﹕][/／\\]{2}"
    r"|(?<!\w)[/／]{2,}(?=[\w.\-]+[./:])"
    r"|(?<!\w)[wｗ]{3}[.．](?=\w)"
    r"|(?:javascript|vbscript|mailto)[:：](?=\S)"
    r"|data:(?=[\w.+\-]+/|[;,])"
    r")[^\s<>()\[\]「」，。；、）】]*",
    re.I,
)
_TAG = re.compile(r"</?[a-z!?][^<>]*>", re.I)

_OPEN_LINK = re.compile(r"\](?=\()")
_OPEN_TAG = re.compile(r"<(?=[a-z/!?]|[^\s<>]*@)", re.I)
_ANY_MARKUP = re.compile(r"[\[\]<>&\\]|[:：﹕]?[/／]{2,}|(?<=[a-z])[:：](?=\S)", re.I)


def web_link(link: str | None) -> str | None:
    """
    A source's own address if a browser may open it, and if it cannot end early where it is written
    into markup; `javascript:` and its like may not.
    """
    if not link or not link.isprintable() or any(sign in link for sign in ' <>|"'):
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.hostname else None


def without_links(text: str) -> str:
    """
    *text* without links, images, addresses and tags; a link's label and a tag's content stay.

    Links in an answer come from the sources' own metadata alone; an address in a document or in a
    model's sentence may carry data away.
    """
    for _ in range(_ROUNDS):
        cleaned = _cleaned(text)
        if cleaned == text:
            break
        # What was taken out may have stood in the middle of another link.
        text = cleaned
    else:
        # Nobody who writes for readers nests so deeply.
        text = _ANY_MARKUP.sub(" ", text)
    # What is left open could be closed by the sentence that follows.
    return _OPEN_TAG.sub("< ", _OPEN_LINK.sub("] ", text))


def _cleaned(text: str) -> str:
    text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    text = _ESCAPED.sub(r"\1", text)
    text = _IMAGE.sub("", text)
    text = _LINK_DEFINITION.sub(r"\1\2:", text)
    text = _LINK.sub(r"\1", text)
    text = _AUTOLINK.sub("…", text)
    text = _TAG.sub("", text)
    return _ADDRESS.sub("…", text)
