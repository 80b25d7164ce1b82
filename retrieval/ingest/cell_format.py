"""Numbers and dates of a spreadsheet as people see them: its number formats, applied."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

GENERAL = "General"
BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    **dict.fromkeys([14, 15], "yyyy-mm-dd"),
    16: "mm-dd",
    17: "yyyy-mm",
    **dict.fromkeys([18, 20], "hh:mm"),
    **dict.fromkeys([19, 21], "hh:mm:ss"),
    22: "yyyy-mm-dd hh:mm",
    **dict.fromkeys([37, 38], "#,##0;(#,##0)"),
    **dict.fromkeys([39, 40], "#,##0.00;(#,##0.00)"),
    **dict.fromkeys([41, 42], '#,##0;-#,##0;"-"'),
    **dict.fromkeys([43, 44], '#,##0.00;-#,##0.00;"-"'),
    **dict.fromkeys([45, 47], "mm:ss"),
    46: "[h]:mm:ss",
    48: "0.0E+0",
    # What these are depends on the program's language, but all of them are dates or times of day.
    **dict.fromkeys([*range(27, 37), *range(50, 59)], "[>=1]yyyy-mm-dd;hh:mm"),
}
"""Formats that a file names by number only."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.?)|[_*].|\[\$(?P<currency>[^\]-]*)[^\]]*\]'
    r"|\[(?P<condition>[<>=]+-?[\d.]+)\]|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]"
    r"|(?P<general>General|G/通用格式|@)|(?P<exponent>E[+-])|AM/PM|A/P|上午/下午"
    r"|(?P<unit>y+|m+|d+|h+|s+|e+|g+|a{3,4})|(?P<digit>[0#?])|(?P<end>;)|(?P<mark>[.,%/])|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_ROC_CALENDAR = re.compile(r"\[\$-[^\]]*(?:404|zh-TW)\b", re.IGNORECASE)
_CONDITION = re.compile(r"([<>=]+)(-?\d+(?:\.\d+)?)$")
_LONGEST = 300
_TOO_LONG_FOR_DIGITS = 1e15
_DAYS_1904 = 1462
_LAST_DAY = 2_958_466

Token = tuple[str, str]
"""Its kind and its text; whatever is shown as it is has the kind `text`."""


@lru_cache(maxsize=1024)
def formatter(code: str, *, since_1904: bool = False) -> Callable[[float], str]:
    """How a cell with the number format *code* shows a value."""
    if code == GENERAL:
        return general
    sections = _sections(code[:_LONGEST])
    has_roc_years = bool(_ROC_CALENDAR.search(code))

    def shown(value: float) -> str:
        section, rest = _chosen(sections, value)
        kinds = {kind for kind, _ in section}
        if kinds & {"unit", "elapsed"}:
            days = value + (_DAYS_1904 if since_1904 else 0)
            if not 0 <= days < _LAST_DAY:
                return general(value)
            return _moment(section, days, has_roc_years=has_roc_years)
        if "general" in kinds:
            return _with_texts(section, "general", general(rest))
        if "digit" not in kinds:
            return _with_texts(section, "", "")
        if not abs(value) < _TOO_LONG_FOR_DIGITS or ("mark", "/") in section:
            return general(value)
        return _number(section, rest)

    return shown


def general(value: float) -> str:
    """As in a cell without a format, except that long numbers are written out."""
    if not abs(value) < _TOO_LONG_FOR_DIGITS:
        return f"{value:.10g}"
    if value == int(value):
        return str(int(value))
    text = f"{value:.10g}"
    return text if "e" not in text else f"{value:.15f}".rstrip("0").rstrip(".")


def _sections(code: str) -> list[list[Token]]:
    sections: list[list[Token]] = [[]]
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup
        if kind == "end":
            sections.append([])
        elif kind in ("quoted", "escaped", "currency", "other"):
            sections[-1].append(("text", match[kind]))
        elif kind:
            sections[-1].append((kind, match[kind].lower()))
    return sections


def _chosen(sections: list[list[Token]], value: float) -> tuple[list[Token], float]:
    """The section that is for *value*, and the number to show in it: one for negatives has their sign."""
    conditions = [text for kind, text in sections[0] if kind == "condition"]
    if conditions:
        return sections[0 if _holds(value, conditions[0]) else min(1, len(sections) - 1)], value
    if value < 0 and len(sections) > 1:
        return sections[1], -value
    if value == 0 and len(sections) > 2:
        return sections[2], value
    return sections[0], value


def _holds(value: float, condition: str) -> bool:
    match = _CONDITION.match(condition)
    if match is None:
        return False
    sign, limit = match[1], float(match[2])
    if sign == "<>":
        return value != limit
    return ("=" in sign and value == limit) or (value < limit if "<" in sign else value > limit)


def _with_texts(section: Sequence[Token], kind: str, text: str) -> str:
    """*text* in the place of tokens of that *kind*, and what else the section says."""
    return "".join(
        text if token[0] == kind else token[1] if token[0] == "text" else "" for token in section
    ).strip()


def _number(section: list[Token], value: float) -> str:
    at = next((n for n, token in enumerate(section) if token == ("mark", ".")), None)
    before, after = (section, []) if at is None else (section[:at], section[at + 1 :])
    places = "".join(text for kind, text in after if kind == "digit")
    exponents = [n for n, (kind, _) in enumerate(section) if kind == "exponent"]
    if exponents:
        decimals = sum(kind == "digit" for kind, _ in section[at : exponents[0]]) if at else 0
        return f"{value:.{decimals}E}"
    percents = section.count(("mark", "%"))
    last = max(n for n, (kind, _) in enumerate(section) if kind == "digit")
    # A comma within the digits groups them, one behind them divides by a thousand.
    thousands = section[last:].count(("mark", ","))
    scaled = abs(Decimal(repr(value))).scaleb(2 * percents - 3 * thousands)
    rounded = scaled.quantize(Decimal(1).scaleb(-len(places)), ROUND_HALF_UP)
    whole, _, decimals_text = f"{rounded:f}".partition(".")
    needed = len(places.rstrip("#?"))
    decimals_text = decimals_text[:needed] + decimals_text[needed:].rstrip("0")
    shown = (
        _whole(before, whole, is_grouped=("mark", ",") in before[:last])
        + (f".{decimals_text}" if decimals_text else "")
        + _with_texts(after, "", "")
        + "%" * percents
    )
    return ("-" if value < 0 and rounded else "") + shown


def _whole(tokens: list[Token], digits: str, *, is_grouped: bool) -> str:
    """The digits before the point, put where the format has a place for each of them."""
    places = [n for n, (kind, _) in enumerate(tokens) if kind == "digit"]
    digits = digits.lstrip("0")
    if is_grouped:
        zeros = sum(tokens[n][1] == "0" for n in places)
        digits = f"{int(digits):,}" if digits else "0" * min(zeros, 1)
    parts: list[str] = []
    for n in range(len(tokens) - 1, -1, -1):
        kind, text = tokens[n]
        if kind == "text":
            parts.append(text)
        elif kind == "digit" and (n == places[0] or is_grouped):
            parts.append(digits or ("0" if text == "0" and not is_grouped else ""))
            digits = ""
        elif kind == "digit":
            parts.append(digits[-1:] or ("0" if text == "0" else ""))
            digits = digits[:-1]
    return digits + "".join(reversed(parts)).strip()


def _moment(section: list[Token], days: float, *, has_roc_years: bool) -> str:
    """
    A date as year-month-day, whatever its order, and a time of day on 24 hours: in a language
    model's eyes, and in a search, 3/5 may be two days.
    """
    units = _units(section)
    seconds = round(days * 86_400)
    if units & {"[h", "[m", "[s"}:
        return f"{seconds // 3600}:{seconds // 60 % 60:02}" + (
            f":{seconds % 60:02}" if units & {"s", "[s"} else ""
        )
    # The first spreadsheet took 1900 for a leap year, and all others do since.
    moment = datetime(1899, 12, 30 if days >= 60 else 31) + timedelta(seconds=seconds)  # noqa: DTZ001
    wanted = units & {"y", "m", "d"} or ({"y", "m", "d"} if "a" in units else set())
    year = str(moment.year)
    date = "-".join(
        [year] * ("y" in wanted)
        + [f"{moment.month:02}"] * ("m" in wanted)
        + [f"{moment.day:02}"] * ("d" in wanted)
    )
    if has_roc_years and {"y", "m", "d"} <= wanted and moment.year > 1911 and "e" in units:
        date = f"民國{moment.year - 1911}年{moment.month}月{moment.day}日 ({date})"
    clock = ["%H:%M"] * ("h" in units) or ["%M"] * ("n" in units)
    time = moment.strftime(":".join(clock + ["%S"] * ("s" in units)))
    return f"{date} {time}".strip()


def _units(section: list[Token]) -> set[str]:
    """First letters of the units shown; `m` are months and `n` minutes, told apart by what is beside them."""
    found = [(kind, text[0]) for kind, text in section if kind in ("unit", "elapsed")]
    units: set[str] = set()
    for n, (kind, letter) in enumerate(found):
        beside = {found[n - 1][1] if n else "", found[n + 1][1] if n + 1 < len(found) else ""}
        if kind == "elapsed":
            units.add(f"[{letter}")
        elif letter == "m" and ((n and found[n - 1][1] == "h") or "s" in beside):
            units.add("n")
        elif letter in "eg":
            units |= {"e", "y"}
        else:
            units.add(letter)
    return units
