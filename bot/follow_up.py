"""Is this a follow-up, and what does it ask when it stands alone? Without a model, by its words."""

import re
from collections.abc import Sequence

from bot.messages import Turn
from retrieval.analysis import content_tokens, is_chinese

_MAX_STANDALONE_CHARACTERS = 400
_LAST_SAID = 3

_OPENING = re.compile(
    r"^\s*(?:and|but|or|so|also|then|what about|how about|what if|which one|same|why\b.{0,12}$|"
    r"那麼|那|所以|還有|另外|如果是|換成|若|為什麼呢|又|可是|但是|而)(?=[\s\W]|[\u3400-\u9fff])",
    re.I,
)
_POINTING = re.compile(
    # Not IT, the department; not "is there"; not "the form that"; not 其他 or 應該.
    r"\b(?:(?-i:it|It|its|Its)|(?<!the )(?<!is )(?<!are )there|this|these|those|they|them|their|he|she|him|her)\b|"
    r"\b(?:about|does|did|is|was|do|for|like|of|than|to|with|after|before|without) that\b|\bthat\W*$|"
    r"\bthe (?:same|former|latter)\b|"
    r"它|他們|她們|(?<!其)他|她|這個|那個|這些|那些|這種|這樣|那樣|上述|前者|後者|剛剛|剛才|同樣|其中|這份|這條|這段|那段|(?<!應)該",
    re.I,
)
_CLOSING_PARTICLE = re.compile(r"呢[？?]?\s*$")


def is_follow_up(question: str, turns: Sequence[Turn]) -> bool:
    """True when *question* needs *turns* to be understood."""
    return bool(turns) and leans_on_others(question)


def leans_on_others(question: str) -> bool:
    """
    Whether *question* can only be understood by what was said before it, whoever said it.

    It opens like a continuation, points at something said before, or is too short to mean anything
    by itself.
    """
    if _OPENING.search(question) or _CLOSING_PARTICLE.search(question):
        return True
    content = content_tokens(question)
    chinese = sum(is_chinese(token) for token in content)
    # "How long is parental leave?" has two words that carry meaning and needs no others.
    is_short = len(content) - chinese <= 1 and chinese <= 2
    # A long question with "it" in it usually says itself what "it" is.
    points_back = bool(_POINTING.search(question)) and len(content) - chinese <= 6 and chinese <= 14
    return is_short or points_back


def stand_alone(question: str, turns: Sequence[Turn], said: Sequence[str] = ()) -> str:
    """
    *question* with the topic of what came before it: of what people said last, else of the last turn.

    The question comes last and the topic is cut, so that over a long conversation what is asked
    now outweighs where it began.

    Args:
        said: What people wrote since the last turn, oldest first.
    """
    if not (turns or said) or not leans_on_others(question):
        return question
    topic = " ".join(said[-_LAST_SAID:]) if said else turns[-1].standalone
    room = max(0, _MAX_STANDALONE_CHARACTERS - len(question))
    return f"{topic[-room:]} {question}" if room else question
