"""What in a text a platform or a browser could follow or fetch."""

import html
import re
import unicodedata

from markdown_it import MarkdownIt

FOLLOWED = {"link_open", "image", "html_inline", "html_block"}
ADDRESS = re.compile(
    r"\w+://|(?<!\w)//[\w.-]+[./:]|(?<!\w)www\.\w|(?:javascript|vbscript|mailto):\S|data:(?:\w+/|[;,])",
    re.I,
)
MARKUP = re.compile(r"\]\(|<[a-z/!?]|<[^\s<>]*@", re.I)


def what_can_be_followed(text: str) -> list[str]:
    """By a Markdown parser, and by programs that look for addresses in plain text."""
    environment: dict[str, dict[str, str]] = {}
    tokens = MarkdownIt("commonmark").parse(text, environment)
    inline = [child for token in tokens for child in token.children or []]
    found = [token.type for token in [*tokens, *inline] if token.type in FOLLOWED]
    found += [*environment.get("references", {}), *MARKUP.findall(text)]
    # The ellipsis that an address leaves behind would fold into dots.
    plain = html.unescape(text).replace("…", " ")
    return found + ADDRESS.findall(unicodedata.normalize("NFKC", plain))
