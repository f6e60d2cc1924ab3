"""Spans survive tags, cleaning and files; broken ones are named."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from .conftest import ROOT
from {{ cookiecutter.package_name }} import conll, data, places, spans
from {{ cookiecutter.package_name }}.spans import Span
from {{ cookiecutter.package_name }}.text import clean, tokens

# A busy machine is no fault of the code: what takes long is to list all characters, once.
settings.register_profile("quick", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quick")
TEXT = "Anna Berg wrote from San Sebastián."
SPANS = [Span(0, 9, "person"), Span(21, 34, "city")]
ODD = "aZé 9.,@-'<>€😀 \n\t\u0301\u200b㎏ﬁ각ᆨ\u2028"
any_text = st.text(st.sampled_from(ODD) | st.characters(codec="utf-8"), max_size=40)


def some_spans(text: str, draw: st.DrawFn) -> list[Span]:
    """Spans of whole tokens."""
    found, place = [], 0
    words = tokens(text)
    while place < len(words):
        length = draw(st.integers(0, 3))
        if length:
            last = words[min(place + length, len(words)) - 1]
            found.append(Span(words[place].start, last.end, draw(st.sampled_from(["city", "person"]))))
        place += max(length, 1)
    return found


@st.composite
def labelled(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """A text with spans."""
    text = draw(any_text)
    return text, some_spans(text, draw)


@given(labelled())
def test_tags_say_the_same_as_spans(case: tuple[str, list[Span]]) -> None:
    text, wanted = case
    words = tokens(text)
    tags = spans.to_tags(words, wanted)
    assert spans.from_tags(words, tags) == wanted
    if words:
        assert spans.parse(" ".join(tags), text) == spans.parse(spans.dump(wanted), text) == wanted


@pytest.mark.parametrize(
    "tags",
    ["B-person I-person O O B-city I-city O", "I-person I-person O O I-city I-city O",
     "B-person E-person O O B-city E-city O", "B-person L-person O O B-city L-city O"],
)  # fmt: skip
def test_all_ways_of_tagging(tags: str) -> None:
    assert spans.parse(tags, TEXT) == SPANS


def test_a_token_belongs_to_what_covers_most_of_it() -> None:
    assert spans.to_tags(tokens(TEXT), [Span(0, 6, "a"), Span(6, 9, "b")])[:2] == ["B-a", "B-b"]
    assert spans.parse("S-a S-a O O S-b B-c O", TEXT)[-1] == Span(25, 34, "c")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("O O", "2 tags for 7 tokens"),
        ('[{"start": 0}]', "neither tags nor a list"),
        ("[", "neither tags nor a list"),
        ('[{"start": 0, "end": 99, "label": "a"}]', "outside the text"),
        ('[{"start": 4, "end": 4, "label": "a"}]', "outside the text"),
        ([{"start": 0, "end": 5, "label": "a"}, {"start": 4, "end": 6, "label": "b"}], "overlap"),
    ],
)
def test_broken_spans_are_named(value: object, said: str) -> None:
    with pytest.raises(Problem, match=said):
        spans.parse(value, TEXT)


@given(any_text)
def test_characters_are_followed_through_cleaning(raw: str) -> None:
    found = places.follow(raw)
    assert found.text == clean(raw)
    assert found.starts == sorted(found.starts)
    assert all(0 <= start < end <= len(raw) for start, end in zip(found.starts, found.ends, strict=True))
    moved = found.places(len(raw))
    assert moved == sorted(moved)
    assert all(0 <= place <= len(found.text) for place in moved)


def test_spans_move_with_their_text() -> None:
    raw = "Mail\u00a0 a.b@example.com,  ﬁnd Anna\u200b  Berg"
    start = raw.index("Anna")
    value = [
        {"start": 6, "end": 21, "label": "address"},
        {"start": start, "end": len(raw), "label": "person"},
    ]
    changed = data.cleaned({"text": [raw, None], "entities": [value, None]}, ["entities"])
    assert changed["text"] == ["Mail <email>, find Anna Berg", ""]
    assert data.readable(changed["text"][:1], changed["entities"][:1]) == ["<email> [address], Anna Berg [person]"]
    assert changed["entities"][1] is None
    again = data.cleaned(changed, ["entities"])
    assert again == changed, "cleaning twice changes nothing more"


@given(st.lists(labelled(), min_size=1, max_size=4))
def test_conll_round_trip(cases: list[tuple[str, list[Span]]]) -> None:
    rows = [
        {"ticket_id": number, "text": text, "city": "<b>\t", "entities": spans.dump(wanted)}
        for number, (text, wanted) in enumerate(cases)
        if tokens(text)
    ]
    assert conll.read(conll.write(rows, "entities"), "entities") == rows


PLAIN = "-DOCSTART- -X- -X- O\n\nWo WRB O\nbleibt VBZ O\nAnna NNP B-person\n\nHallo UH O\r\nWien NNP B-city\r\n"


def test_the_teams_own_conll_is_read(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "own.conll"
    path.write_text(PLAIN, encoding="utf-8", newline="")
    own = contract.only(["ticket_id", "text", "entities"]).model_copy(update={"min_rows": 1})
    frame = data.load(path, own)
    assert frame["text"].tolist() == ["Wo bleibt Anna", "Hallo Wien"]
    assert frame["ticket_id"].tolist() == [1, 2]
    assert data.readable(frame["text"].tolist(), frame["entities"].tolist()) == ["Anna [person]", "Wien [city]"]


def test_columns_and_comments_of_conll() -> None:
    comments = "# global.columns = FORM pos ner\n# text = Mr Wu's €5\n# language = en\n"
    (row,) = conll.read(comments + "Mr\tX\tO\nWu's\tY\tB-p\n€\tS\tO\n5\tN\tO\n", "ner")
    assert (row["text"], row["language"]) == ("Mr Wu's €5", "en")
    assert spans.read(row["ner"]) == [Span(3, 7, "p")]
    assert spans.read(row["pos"])[-1] == Span(9, 10, "N")


@pytest.mark.parametrize(
    ("content", "said"), [("Wo\n", "line 1: a token needs a tag"), ("# text = x\ny O\n", "line 2: 'y'")]
)
def test_broken_conll_is_named(content: str, said: str, tmp_path: Path, contract: Contract) -> None:
    (tmp_path / "own.conll").write_text(content, encoding="utf-8")
    with pytest.raises(Problem, match=said):
        data.load(tmp_path / "own.conll", contract)


def test_broken_targets_are_named(tmp_path: Path, contract: Contract) -> None:
    lines = (ROOT / "data" / "tickets.jsonl").read_text(encoding="utf-8").split("\n")[:600]
    rows = [json.loads(line) for line in lines]
    rows[7]["entities"] = [{"start": 0, "end": 9999, "label": "city"}]
    rows[9]["part_of_speech"] = "NOUN"
    (tmp_path / "tickets.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(ContractError, match=r"column entities, row 7.*outside the text"):
        data.load(tmp_path / "tickets.jsonl", contract)
    rows[7]["entities"] = []
    (tmp_path / "tickets.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(ContractError, match="column part_of_speech, row 9: there are 1 tags for"):
        data.load(tmp_path / "tickets.jsonl", contract)
