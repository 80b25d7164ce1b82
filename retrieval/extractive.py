"""An answer made of the documents' own sentences: when no model is set, or the model failed."""

from collections.abc import Sequence

from retrieval.analysis import language_of
from retrieval.citations import without_markers
from retrieval.evidence import Evidence, EvidenceSentence
from retrieval.links import without_links
from retrieval.types import Answer, Band, Citation, Language, Passage

MAX_SENTENCES = 3
_LATER_PASSAGE_PENALTY = 0.2
_WORTH_SHOWING = 0.6
_WORTH_READING = 0.7
_MAX_SENTENCE_CHARACTERS = 600
_CLOSEST = 3

_FOUND = {
    Language.ENGLISH: "From “{title}”:",
    Language.CHINESE: "《{title}》寫道：",
}
_OTHER_LANGUAGE = {
    Language.ENGLISH: "(The document is in Chinese; this is its own wording.)",
    Language.CHINESE: "（文件是英文，以下是原文。）",
}
_UNSURE = {
    Language.ENGLISH: "I am not sure that the documents answer this. These passages come closest:",
    Language.CHINESE: "我不確定文件裡有這個問題的答案。最接近的段落是：",
}
_NOTHING = {
    Language.ENGLISH: "I found nothing that answers this in the documents that may be used here.",
    Language.CHINESE: "在這裡可以使用的文件中，我找不到這個問題的答案。",
}
_LOOKED_AT = {
    Language.ENGLISH: "I looked at {titles}. Try other words, or name the product, form or team.",
    Language.CHINESE: "我看過{titles}。請換個說法，或說明是哪個產品、表單或部門。",
}
_TITLE = {Language.ENGLISH: "“{title}” [{number}]", Language.CHINESE: "《{title}》[{number}]"}
_TRY = {
    Language.ENGLISH: "Try other words, or ask somebody who has access to more.",
    Language.CHINESE: "請換個說法，或詢問權限較多的同事。",
}


def extract(passages: Sequence[Passage], evidence: Evidence, *, language: Language) -> Answer:
    """
    The best one to three sentences of the best passages with their citations; or, when unsure, where to look.
    """
    if evidence.band is Band.ANSWERED and evidence.sentences:
        return _quoted(passages, evidence, language)
    if evidence.band is Band.NOTHING:
        return nothing_found(passages, language=language)
    return unsure(passages, language=language)


def unsure(passages: Sequence[Passage], *, language: Language) -> Answer:
    """The closest passages and no claim."""
    citations = _distinct_documents(passages)
    lines = [f"- {_where(citation)} [{citation.number}]" for citation in citations]
    text = "\n".join([_UNSURE[language], "", *lines])
    return Answer(text=text, band=Band.UNSURE, language=language, citations=citations)


def nothing_found(passages: Sequence[Passage], *, language: Language) -> Answer:
    """That there is no answer, and which documents were looked at."""
    citations = _distinct_documents(passages)
    titles = [
        _TITLE[language].format(title=_plain(c.chunk.document.title), number=c.number)
        for c in citations
    ]
    separator = "、" if language is Language.CHINESE else ", "
    hint = _LOOKED_AT[language].format(titles=separator.join(titles)) if titles else _TRY[language]
    return Answer(
        text=f"{_NOTHING[language]}\n\n{hint}",
        band=Band.NOTHING,
        language=language,
        citations=citations,
    )


def _quoted(passages: Sequence[Passage], evidence: Evidence, language: Language) -> Answer:
    """The chosen sentences under their document's title, passage by passage; then further reading."""
    chosen = list(evidence.sentences) if evidence.is_chosen else _best(evidence)
    quoted = list(dict.fromkeys(sentence.passage for sentence in chosen))
    near = _WORTH_READING * passages[0].score
    others = [i for i, p in enumerate(passages) if i not in quoted and p.score >= near]
    order = quoted if evidence.is_chosen else [*quoted, *others]
    blocks: dict[str, list[str]] = {}
    for number, index in enumerate(quoted, start=1):
        chunk = passages[index].chunk
        heading = _FOUND[language].format(title=_plain(chunk.document.title))
        if language_of(chunk.text) is not language:
            heading += " " + _OTHER_LANGUAGE[language]
        own = sorted((s for s in chosen if s.passage == index), key=lambda s: s.position)
        quotes = [f"> {quote} [{number}]" for quote in map(_as_quote, own) if quote]
        blocks.setdefault(heading, []).extend(quotes)
    return Answer(
        text="\n\n".join(f"{title}\n\n" + "\n>\n".join(quotes) for title, quotes in blocks.items()),
        band=Band.ANSWERED,
        language=language,
        citations=tuple(
            Citation(number, passages[index].chunk)
            for number, index in enumerate(order[:_CLOSEST], start=1)
        ),
    )


def _best(evidence: Evidence) -> list[EvidenceSentence]:
    """The best sentences, best first; one of a later passage must be better to count as much."""

    def worth(sentence: EvidenceSentence) -> float:
        return sentence.score - _LATER_PASSAGE_PENALTY * sentence.passage

    best = sorted(evidence.sentences, key=lambda s: (-worth(s), s.passage, s.position))
    best = best[:MAX_SENTENCES]
    return [s for s in best if worth(s) >= _WORTH_SHOWING * worth(best[0])]


def _as_quote(sentence: EvidenceSentence) -> str:
    text = _plain(sentence.text)
    if len(text) > _MAX_SENTENCE_CHARACTERS:
        text = text[:_MAX_SENTENCE_CHARACTERS].rstrip() + "…"
    return text


def _distinct_documents(passages: Sequence[Passage]) -> tuple[Citation, ...]:
    by_document = {passage.chunk.document.id: passage for passage in reversed(passages[:10])}
    best = sorted(by_document.values(), key=lambda p: (-p.score, p.chunk.id))[:_CLOSEST]
    return tuple(Citation(n, passage.chunk) for n, passage in enumerate(best, start=1))


def _where(citation: Citation) -> str:
    chunk = citation.chunk
    return " › ".join(_plain(part) for part in [chunk.document.title, *chunk.heading_path])


def _plain(text: str) -> str:
    """One line of words, with nothing that could be followed or taken for a citation."""
    return " ".join(without_markers(without_links(text)).split())
