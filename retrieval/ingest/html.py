"""HTML to Markdown: only what a reader of the page sees, without navigation and scripts."""

import re
from html.parser import HTMLParser

from bs4 import BeautifulSoup, Comment, PageElement, Tag
from markdownify import MarkdownConverter
from soupsieve import SelectorSyntaxError

from retrieval.errors import IngestError
from retrieval.ingest.clean import VOID_ELEMENTS, hides, is_hidden, parseable

MAX_DEPTH = 400
"""Real pages stay below a hundred. The converter recurses, and Python ends at a thousand."""

_BOILERPLATE = ("nav", "footer", "button", "select", "input", "dialog")
_AT_RULE = re.compile(r"@[^{;]+(?:;|\{(?:[^{}]*\{[^{}]*\})*[^{}]*\})")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def html_to_markdown(html: str) -> tuple[str | None, str]:
    """The page's title, if it has one, and what it shows."""
    # Long runs of blanks cost the converter quadratic time, and mean one blank.
    html = re.sub(r"[ \t]{200,}", " ", parseable(html))
    _check_depth(html)
    soup = BeautifulSoup(html, "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else None
    _remove_hidden(soup)
    for element in soup.find_all(_BOILERPLATE):
        element.decompose()
    mains = soup.find_all("main") or soup.find_all(attrs={"role": "main"})
    content = mains[0] if len(mains) == 1 and mains[0].get_text(strip=True) else soup
    return title or None, _Converter().convert_soup(_unlinked(content)).strip()


class _Depth(HTMLParser):
    """How deep the parser would nest the page: an element that is never closed holds all that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID_ELEMENTS:
            self.now += 1
            self.most = max(self.most, self.now)

    def handle_endtag(self, tag: str) -> None:
        self.now = max(0, self.now - 1)


def _check_depth(html: str) -> None:
    depth = _Depth()
    depth.feed(html)
    if depth.most > MAX_DEPTH:
        raise IngestError(
            f"nests HTML elements {depth.most} deep, or does not close them; save it from a browser or an editor anew"
        )


def _remove_hidden(soup: BeautifulSoup) -> None:
    for selector in _hiding_selectors(soup):
        try:
            found = soup.select(selector)
        except (SelectorSyntaxError, NotImplementedError):
            continue
        for element in found:
            element.decompose()
    # Doctypes and processing instructions are comments to Beautiful Soup, too.
    for text in soup.find_all(string=lambda text: isinstance(text, Comment)):
        text.extract()
    for element in soup.find_all(True):
        if not element.decomposed and is_hidden(element.name, _attributes(element)):
            element.decompose()


def _hiding_selectors(soup: BeautifulSoup) -> list[str]:
    """Selectors of the page's own style sheets that take something out of sight, on every medium."""
    css = " ".join(style.get_text() for style in soup.find_all("style"))
    css = _AT_RULE.sub("", re.sub(r"/\*.*?\*/|<!--|-->", "", css, flags=re.S))
    # `:hover` and the like do not say how the page looks when it opens.
    return [
        selector.strip()
        for selectors, declarations in _RULE.findall(css)
        if hides(declarations)
        for selector in selectors.split(",")
        if ":" not in selector
    ]


def _attributes(element: Tag) -> list[tuple[str, str | None]]:
    return [(k, v if isinstance(v, str) else " ".join(v)) for k, v in element.attrs.items()]


def _unlinked(content: Tag) -> Tag:
    """Links that lead to the web or to mail stay; all others are their text, images their description."""
    for link in content.find_all("a"):
        if not re.match(r"(?:https?://|mailto:)", str(link.get("href") or "")):
            link.unwrap()
    for image in content.find_all("img"):
        image.replace_with(str(image.get("alt") or ""))
    return content


class _Converter(MarkdownConverter):
    class Options:
        heading_style = "atx"
        bullets = "-"
        # The text is read by people and by models as it stands; a backslash before each
        # underscore would break identifiers such as mstatus_mie.
        escape_underscores = False
        escape_asterisks = False
        escape_misc = False
        table_infer_header = True
        sub_symbol = ""
        sup_symbol = "^"

        @staticmethod
        def code_language_callback(element: Tag) -> str | None:
            code = element.find("code")
            classes = " ".join([*_classes(element), *_classes(code)])
            match = re.search(r"(?:language|lang|highlight-source)-(\w+)", classes)
            return match[1] if match else None

    def convert_sup(self, element: Tag, text: str, parent_tags: set[str]) -> str:
        return f"^{text}" if text.strip() else ""


def _classes(element: PageElement | None) -> list[str]:
    return (
        [str(c) for c in element.get_attribute_list("class") if c]
        if isinstance(element, Tag)
        else []
    )
