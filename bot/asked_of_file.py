"""When a file lies beside a question: is the question about the file, and about what in it? By its words."""

import re
from dataclasses import dataclass

from retrieval.analysis import content_tokens, stem

_NOUNS = (
    "file|document|doc|docx|pdf|attachment|report|paper|contract|agreement|spreadsheet|workbook|sheet|excel|slide|deck|"
    "presentation|memo|page|letter|text|note|minutes|manual|guide|article|spec|specification|datasheet|"
    "log|picture|image|photo|screenshot|diagram|chart"
)
_PUT_HERE = "attached|enclosed|uploaded|above|whole"
_NAMED = re.compile(
    rf"\b(?:(?:in|of|from|about|to|on|inside|within|according to)\s+)?"
    rf"(?:(?:the|this|that|these|those|my)(?:\s+(?:{_PUT_HERE}))?|{_PUT_HERE})\s+(?:{_NOUNS})s?\b"
    r"|\b(?:the\s+|my\s+)?attach(?:ments?|ed)\b|\b(?:enclosed|tl;?dr)\b"
    r"|(?:請問)?(?:在|從|依|依據|根據|照)?(?:(?:這|該|那|此|上)(?:一|幾|些|面)*的?(?:份|個|篇|張|支|封|本|則)?|上傳|夾帶|附上)的?\s?"
    r"(?:PDF|Word|Excel|PowerPoint|PPT|試算表|工作表|投影片|文件|檔案|檔|附件|附檔|報告書?|合約|契約|文章|簡報|"
    r"資料|圖片|圖|照片|截圖|信|會議[紀記]錄|[紀記]錄|"
    r"規格書?|手冊|說明書|表格|公告|辦法)(?:裡面|裡|裏|中|內|當中|上)?的?"
    r"|(?:(?:這|該|此)(?:份|篇|張|封)|附件|附檔)(?:裡面|裡|裏|中|內)?的?",
    re.IGNORECASE,
)
_POINTED_AT = re.compile(
    r"\b(?:in|of|from|about|does|do|is|are|was)\s+(?:this|these|it)\b"
    r"|\b(?:this|these|it)\b(?=\s*(?:[?.!,:]|$|about|says?\b|means?\b|contains?\b|for me\b|in(?:to)? \w+\W*$))"
    r"|這?(?:裡面|裏面|裡頭)的?|這個?(?:是|在|裡|裏|寫|說|講)",
    re.IGNORECASE,
)
_TELLING_WORDS = """
summary summarise summarize summarising explain describe translate read review outline overview key main
point gist say content contain contains mean meaning help brief briefly short shortly quick quickly bullet
highlight takeaway important look check show topic subject sentence word line paragraph one two three four
five 1 2 3 4 5 chinese english traditional see understand analyse analyze tldr thing everything anything
"""
_TELLING = frozenset(map(stem, _TELLING_WORDS.split()))
_TELLING_CHINESE = re.compile(
    r"(?:在|主要|都|到底)*(?:說|講|寫|談|提)(?:了|些|到|的)*(?:是)?(?:什麼|甚麼|啥|哪些)?|是?(?:什麼|甚麼|啥)|內容|摘要|"
    r"總結|結論|重點|大意|整理|概述|概要|概括|說明|解釋|介紹|翻譯|翻成|譯成|中文|英文|繁體|簡述|歸納|主旨|要點|"
    r"主要|主題|有哪些|哪些|條列|列出|幫我|幫忙|麻煩|請你?|看一下|看看|閱讀|讀一下|讀|一下|簡短|簡單|扼要|幾句話|一句話|"
    r"分析|告訴我|給我|做個?|一份|版|用|意思|關於"
)


@dataclass(frozen=True, slots=True)
class AskedOfFile:
    """
    Attributes:
        names_file: Words such as "this document" are in the question.
        is_subject: It is about the file.
        is_whole_subject: And about nothing in particular: what does the file say?
        rest: What is asked of the file, to be searched in it.
    """

    names_file: bool
    is_subject: bool
    is_whole_subject: bool
    rest: str


def asked_of_file(question: str) -> AskedOfFile:
    """How *question* reads when a file lies beside it."""
    unnamed = _NAMED.sub(" ", question)
    rest = " ".join(_POINTED_AT.sub(" ", unnamed).split())
    is_whole = not any(
        token not in _TELLING for token in content_tokens(_TELLING_CHINESE.sub(" ", rest))
    )
    return AskedOfFile(
        names_file=unnamed != question,
        is_subject=is_whole or rest != " ".join(question.split()),
        is_whole_subject=is_whole,
        rest=rest if content_tokens(rest) else question,
    )
