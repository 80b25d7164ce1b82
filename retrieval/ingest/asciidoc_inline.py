"""AsciiDoc's inline markup to Markdown's: quotes, anchors, references, macros, attributes."""

import re
from itertools import pairwise

_ATTRIBUTES = {
    "endash": "–", "emdash": "—", "nbsp": " ", "times": "×", "prime": "′", "plus": "+",
    "vertical-ellipsis": "⋮", "ellipsis": "…", "hellip": "…", "asterisk": "*", "caret": "^", "tilde": "~",
    "startsb": "[", "endsb": "]", "backtick": "`", "vbar": "|", "pipe": "|", "amp": "&", "lt": "<",
    "gt": ">", "empty": "", "blank": "", "sp": " ", "zwsp": "", "deg": "°", "apos": "'", "quot": '"',
    "lsquo": "‘", "rsquo": "’", "ldquo": "“", "rdquo": "”", "ge": "≥", "le": "≤", "ne": "≠", "mul": "×",
    "cpp": "C++", "two-colons": "::", "two-semicolons": ";;", "backslash": "\\", "wj": "", "minus": "−", "inf": "∞",
    "pm": "±", "check": "✓", "cross": "✗", "rarr": "→", "larr": "←", "mu": "µ", "ohm": "Ω", "sect": "§",
}  # fmt: skip

# Roles of chip manuals that print their target, with what joins target and argument.
_TARGET_MACROS = {
    "csr": ".", "insn": " ", "insnlink": " ", "ext": " ", "extlink": " ", "reg": "", "qty": " ",
}  # fmt: skip

_CODE = re.compile(
    r"(?<![`\\\"'])(?P<t>(?P<double>``)|`)(?!`)(?P<body>(?:(?!\n\s*\n).)+?)(?P=t)(?!`)(?(double)|(?!\w))",
    re.S,
)
_MASK = re.compile("\ue000(\\d+)\ue001")
_ANCHOR = re.compile(r"\[\[[^\]\n]+\]\]|anchor:[\w.:-]+\[[^\]]*\]")
_SPAN = re.compile(
    r"\[(?:[#.%][^\]\n]*|[a-z][\w-]*)\](?P<h>#{1,2})(?!#)(?P<body>.{1,1000}?)(?P=h)(?!\w)", re.S
)
_OPEN_SPAN = re.compile(r"\[#[\w:.-]+\](?P<h>#{0,2})")
_MACRO = re.compile(
    r"(?<![A-Za-z0-9])(?P<name>[a-z][a-z0-9_]{0,40}):{1,2}(?P<target>[^\s\[\]\"'()]{0,200})\[(?P<text>(?:[^\[\]]|\[[^\[\]]{0,200}\]){0,1000})\]"
)
_URL = re.compile(
    r"(?:link:)?(?P<url>(?:https?|ftp)://[^\s\[\]<>]{1,2000})\[(?P<text>[^\]]{0,1000})\]"
)


class Inline:
    """Converts text within one document, whose attributes it knows."""

    def __init__(self) -> None:
        self.attributes = dict(_ATTRIBUTES)

    def convert(self, text: str) -> str:
        """One paragraph; its wrapped lines are joined."""
        kept: list[str] = []

        def keep(shown: str) -> str:
            kept.append(shown)
            return f"\ue000{len(kept) - 1}\ue001"

        def restore(shown: str) -> str:
            while _MASK.search(shown):
                shown = _MASK.sub(lambda match: kept[int(match[1])], shown)
            return shown

        text = _MASK.sub("", text)
        text = re.sub(r"\"`(.{1,1000}?)`\"", r"“\1”", text, flags=re.S)
        text = re.sub(r"'`(.{1,1000}?)`'", r"‘\1’", text, flags=re.S)
        text = re.sub(r"(\+{2,3})(.{1,1000}?)\1", lambda m: keep(m[2]), text, flags=re.S)
        text = re.sub(r"pass:[a-z,]*\[([^\]]{0,1000})\]", lambda m: keep(m[1]), text)
        text = _CODE.sub(lambda m: keep(self._code(restore(m["body"]))), text)
        text = _URL.sub(lambda m: keep(_link(m["url"], m["text"])), text)
        text = re.sub(r"https?://[^\s\[\]<>]+", lambda m: keep(m[0]), text)
        text = self._references(text)
        text = self._macros(text)
        text = _quotes(text)
        text = self._attributes_in(text)
        text = re.sub(
            r"(?<=\w)--(?=\w)| -- |\n-- | --\n", lambda m: "—" if len(m[0]) == 2 else " — ", text
        )
        text = re.sub(r"\\(?=[*_`#{\[<:~^+])", "", text)
        return restore(_joined(text)).strip()

    def _code(self, body: str) -> str:
        body = " ".join(body.split())
        if body.startswith("+") and body.endswith("+") and len(body) > 2:
            body = body[1:-1]
        body = self._macros(self._attributes_in(_ANCHOR.sub("", body)))
        body = re.sub(r"__(\w+?)__", r"\1", body)
        body = re.sub(r"(?<!\w)_(\S(?:.{0,200}?\S)?)_(?!\w)|(?<!\w)\*(\w+)\*(?!\w)", r"\1\2", body)
        fence = "``" if "`" in body else "`"
        return f"{fence}{body}{fence}" if body else ""

    def _attributes_in(self, text: str) -> str:
        text = re.sub(r"\{(?:set|counter2?):[^{}]*\}", "", text)
        return re.sub(
            r"(?<!\\)\{([\w-]+)\}", lambda m: self.attributes.get(m[1].lower(), m[0]), text
        )

    def _references(self, text: str) -> str:
        text = re.sub(r"\(\(\(.{1,1000}?\)\)\)(?!\))[ \t]*\n?", "", text, flags=re.S)
        text = re.sub(r"(?<!\()\(\((?!\()([^()]+?)\)\)", r"\1", text)
        text = _ANCHOR.sub("", text)
        for _ in range(3):
            text = _SPAN.sub(lambda m: m["body"], text)
        text = _OPEN_SPAN.sub("", text)
        return re.sub(r"<<([^<>,]+)(?:,\s*([^<>]+))?>>", lambda m: m[2] or _reference(m[1]), text)

    def _macros(self, text: str) -> str:
        return _MACRO.sub(
            lambda match: _macro(match["name"], match["target"], match["text"], match[0]), text
        )


def _macro(name: str, target: str, text: str, original: str) -> str:
    match name:
        case (
            "indexterm" | "icon" | "cite" | "citenp" | "bibliography" | "image" | "anchor" | "norm"
        ):
            return text.split(",")[0] if name == "image" and "=" not in text else ""
        case "indexterm2" | "kbd" | "btn" | "pass" | "abbr":
            return text
        case "footnote" | "footnoteref":
            return f" ({text.split(',', 1)[-1].strip() if name == 'footnoteref' else text})"
        case "menu":
            return " > ".join([target, *(part.strip() for part in text.split(">"))])
        case "xref":
            return text or _reference(target)
        case "link":
            return text.rstrip("^") or target
        case "mailto":
            return text.split(",")[0] or target
        case "stem" | "latexmath" | "asciimath":
            return f"`{text}`"
    if name in _TARGET_MACROS:
        arguments = ", ".join(part.strip() for part in text.split(","))
        return _TARGET_MACROS[name].join(part for part in (target, arguments) if part)
    return target if target and not text else original


def _reference(target: str) -> str:
    """An id is the best name we have: `norm:misa_mxl_enc` reads as misa_mxl_enc."""
    return re.split(r"[#:/]", target.strip())[-1].removesuffix(".adoc") or target


def _link(url: str, text: str) -> str:
    text = text.split(",")[0].strip().strip('"').rstrip("^")
    return f"[{text}]({url})" if text else url


def _quotes(text: str) -> str:
    text = re.sub(
        r"(?<!\\)\*\*(?=\S)(.{1,1000}?)(?<=\S)\*\*",
        r"**\1**".replace("**", "\ue002"),
        text,
        flags=re.S,
    )
    text = re.sub(
        r"(?<![\w\\*}])\*(?=[^\s*])(.{1,1000}?)(?<=[^\s*])\*(?![\w*])",
        "\ue002\\1\ue002",
        text,
        flags=re.S,
    )
    text = re.sub(r"(?<!\\)__(?=\S)(.{1,1000}?)(?<=\S)__", "\ue003\\1\ue003", text, flags=re.S)
    text = re.sub(
        r"(?<![\w\\}])_(?=[^\s_])(.{1,1000}?)(?<=[^\s_])_(?!\w)",
        "\ue003\\1\ue003",
        text,
        flags=re.S,
    )
    text = re.sub(r"(?<!\\)##(?=\S)(.{1,1000}?)(?<=\S)##", r"\1", text, flags=re.S)
    text = re.sub(r"(?<![\w\\&])#(?=[^\s#])(.{1,1000}?)(?<=[^\s#])#(?!\w)", r"\1", text, flags=re.S)
    text = re.sub(r"\^([^\s^]+?)\^", r"^\1", text)
    text = re.sub(r"(?<![~\\])~([^\s~]+?)~(?!~)", r"\1", text)
    return text.replace("\ue002", "**").replace("\ue003", "*")


def _joined(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip() != "+"] or [""]
    joined = lines[0].strip()
    for before, line in pairwise(lines):
        if before.rstrip().endswith(" +"):
            joined = joined.removesuffix("+").rstrip() + "\n" + line.strip()
        else:
            both_wide = bool(joined) and ord(joined[-1]) > 0x2E80 and line.strip()[:1] > "\u2e80"
            joined += ("" if both_wide else " ") + line.strip()
    return re.sub(r" \+$", "", joined)
