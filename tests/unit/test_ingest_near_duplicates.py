"""Texts that say almost the same."""

from retrieval.ingest.near_duplicates import near_duplicates


def test_copies_are_found_and_other_texts_are_not() -> None:
    page = " ".join(f"step {n} of the way" for n in range(80))
    chinese = "".join(f"第{n}條實驗室早上九點開放晚上六點關閉" for n in range(30))
    texts = {
        "page": page,
        "page, edited": page.replace("step 13 of", "stage 13 of"),
        "page, backwards": " ".join(reversed(page.split())),
        "chinese": chinese,
        "chinese, longer": chinese + "完" * 8,
        "short": "the lab",
        "short too": "the lab",
    }

    found = near_duplicates(texts)

    assert {(pair.first, pair.second) for pair in found} == {
        ("page", "page, edited"),
        ("chinese", "chinese, longer"),
    }
    assert all(0.8 <= pair.similarity < 1 for pair in found)


def test_equal_texts_are_wholly_alike_and_come_first() -> None:
    page = " ".join(f"step {n} of the way" for n in range(80))

    found = near_duplicates({"a": page, "b": page.replace("step 9 ", "stage 9 "), "c": page})

    assert (found[0].first, found[0].second, found[0].similarity) == ("a", "c", 1.0)
    assert len(found) == 3
