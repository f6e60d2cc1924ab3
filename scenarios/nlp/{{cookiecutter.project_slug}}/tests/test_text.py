"""Normalization, masking, sentences and tokens: what goes in, what comes out, what must not change."""

import random
import unicodedata

import pytest

from {{ cookiecutter.package_name }} import text
from {{ cookiecutter.package_name }}.synthetic import Ticket


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  two   spaces\tand a tab ", "two spaces and a tab"),
        ("cafe\u0301", "café"),
        ("ﬁne ① Ｆｕｌｌ", "fine 1 Full"),
        ("“quoted” – and ’s", '"quoted" - and \'s'),
        ("in\u200bvisible\u00ad \ufeffmarks\x00", "invisible marks"),
        ("one\r\ntwo\n\n\n\nthree", "one\ntwo\n\nthree"),
        ("", ""),
    ],
)
def test_normalize(raw: str, expected: str) -> None:
    assert text.normalize(raw) == expected


def test_normalizing_twice_changes_nothing() -> None:
    generator = random.Random(0)
    alphabet = [chr(code) for code in [*range(0x250), *range(0x2000, 0x2070), 0xFB01, 0x1F600, 0xFEFF, 0x301]]
    for _ in range(500):
        once = text.clean("".join(generator.choices(alphabet, k=60)))
        assert text.clean(once) == once
        assert unicodedata.is_normalized("NFKC", text.normalize(once))


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("write to Anna.Berg+x@mail.example.com.", "write to <email>."),
        ("call +49 30 1234567 or 0044 20 79460000", "call <phone> or <phone>"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN <iban> please"),
        ("card 4111 1111 1111 1111", "card <card>"),
        ("see https://example.com/a?b=c today", "see <url> today"),
        ("order A-12345 of 2025-03-01 over 99.50 €", "order A-12345 of 2025-03-01 over 99.50 €"),
    ],
)
def test_mask(raw: str, masked: str) -> None:
    assert text.mask(raw) == masked


def test_nothing_personal_is_left_in_the_sample(sample: dict[str, list[Ticket]]) -> None:
    raw = [ticket["text"] for tickets in sample.values() for ticket in tickets]
    assert sum("@" in one for one in raw) > 100
    assert not [one for one in map(text.clean, raw) if "@" in one or "+49" in one]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Berg came. He left.", ["Dr. Berg came.", "He left."]),
        ("Am 3. Mai kam nichts. Schade!", ["Am 3. Mai kam nichts.", "Schade!"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("¿Dónde está? ¡Aquí!", ["¿Dónde está?", "¡Aquí!"]),
        ("It costs 9.50 €. Really", ["It costs 9.50 €.", "Really"]),
        ("first line\n\nsecond paragraph", ["first line", "second paragraph"]),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_sentences(raw: str, expected: list[str]) -> None:
    found = text.sentences(raw)
    assert [sentence.text for sentence in found] == expected
    assert [raw[sentence.start : sentence.end] for sentence in found] == expected


def test_sentences_and_tokens_lose_nothing(sample: dict[str, list[Ticket]]) -> None:
    for ticket in sample["tickets-new"][:300]:
        clean = text.clean(ticket["text"])
        for pieces in (text.sentences(clean), text.tokens(clean)):
            assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(clean.split())
            assert all(clean[piece.start : piece.end] == piece.text for piece in pieces)


def test_words() -> None:
    assert text.words("Order A-12345 isn't here, <email>!") == ["order", "a-00000", "isn't", "here", "<email>"]
