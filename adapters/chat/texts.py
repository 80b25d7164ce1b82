"""What we say around an answer on a chat platform, in both languages."""

from datetime import datetime

from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

# Around an answer.

SOURCES = {EN: "Sources", ZH: "來源"}
FURTHER = {EN: "Closest passages", ZH: "最接近的段落"}
ALL_SOURCES = {EN: "All {n} sources", ZH: "全部 {n} 個來源"}
SUPERSEDED = {EN: "a newer version exists", ZH: "已有新版"}
UNSURE = {
    EN: "I am not sure about this. Please check the sources.",
    ZH: "這個回答我不太確定，請查證來源。",
}
EXTRACT = {EN: "The documents' own sentences, word for word.", ZH: "文件中的原句，一字未改。"}
WRITTEN_BY_AI = {
    EN: "Written by AI from the sources. Please check what matters.",
    ZH: "由 AI 根據來源撰寫，重要內容請再查證。",
}
FOR_YOU_ALONE = {
    EN: "A fuller answer for you alone: not everybody here may read its sources.",
    ZH: "這是只給你的較完整回答，因為這裡並非每個人都有權閱讀這些來源。",
}
ASKED = {EN: "Question: {question}", ZH: "問題：{question}"}
WHY = {EN: "Why this answer?", ZH: "為什麼這樣回答？"}

_AGES = (
    (365, {EN: ("updated a year ago", "updated {n} years ago"), ZH: ("{n} 年前更新",) * 2}),
    (30, {EN: ("updated a month ago", "updated {n} months ago"), ZH: ("{n} 個月前更新",) * 2}),
    (1, {EN: ("updated yesterday", "updated {n} days ago"), ZH: ("昨天更新", "{n} 天前更新")}),
)
_TODAY = {EN: "updated today", ZH: "今天更新"}


def age(at: datetime, now: datetime, language: Language) -> str:
    """How long ago a document changed, in the largest unit that fits."""
    days = (now - at).days
    for unit_days, words in _AGES:
        if n := days // unit_days if days > 0 else 0:
            one, many = words[language]
            return (one if n == 1 else many).format(n=n)
    return _TODAY[language]
