"""The sample is what the generator says it is."""

from pathlib import Path

import pytest

from .conftest import ROOT
from {{ cookiecutter.package_name }} import data, phrases
from {{ cookiecutter.package_name }}.synthetic import ENTITIES, KNOWN_INTENTS, LANGUAGES, MOODS, Ticket

Sample = dict[str, list[Ticket]]


@pytest.mark.parametrize("name", ["tickets", "tickets-hard", "tickets-new"])
def test_the_files_are_made_by_the_generator(name: str, sample: Sample, tmp_path: Path) -> None:
    data.write(tmp_path / "again", sample[name])
    assert (tmp_path / "again").read_bytes() == (ROOT / "data" / f"{name}{data.SUFFIX}").read_bytes()


def test_every_language_has_every_phrase() -> None:
    for language in LANGUAGES:
        assert {len(phrases.INTENTS[language][intent]) for intent in KNOWN_INTENTS} == {6}
        assert set(phrases.OPENERS[language]) == set(phrases.CLOSERS[language]) == set(MOODS)
        assert language in phrases.ASIDES
        assert language in phrases.CONTACT


def test_entities_are_where_they_are_said_to_be(sample: Sample) -> None:
    for ticket in sample["tickets"]:
        for entity in ticket["parts"]["entities"]:
            piece = ticket["text"][entity["start"] : entity["end"]]
            assert piece == piece.strip() != ""
            assert entity["label"] in ENTITIES
            if entity["label"] == "product":
                assert piece in phrases.PRODUCTS


def test_parts_cover_the_text(sample: Sample) -> None:
    for ticket in sample["tickets-hard"][:200]:
        text = ticket["text"]
        for name in ("sentences", "words"):
            rest = list(text)
            for part in ticket["parts"][name]:
                assert part["start"] < part["end"]
                rest[part["start"] : part["end"]] = " " * (part["end"] - part["start"])
            assert not "".join(rest).strip(), name
        starts = [part["start"] for part in ticket["parts"]["sentences"]]
        assert starts == sorted(set(starts))
        assert starts[0] == 0


def test_production_differs_as_planned(sample: Sample) -> None:
    assert {ticket["intent"] for ticket in sample["tickets"]} == set(KNOWN_INTENTS)
    assert "privacy" in {ticket["intent"] for ticket in sample["tickets-new"]}
    development, production = (" ".join(t["text"] for t in sample[name]) for name in ("tickets", "tickets-new"))
    for product in phrases.NEW_PRODUCTS:
        assert product not in development
        assert product in production
    assert max(t["created"] for t in sample["tickets"]) < min(t["created"] for t in sample["tickets-new"])


def test_hard_texts_use_what_development_never_has(sample: Sample) -> None:
    development, hard = (" ".join(t["text"] for t in sample[name]) for name in ("tickets", "tickets-hard"))
    for city in phrases.UNSEEN_CITIES:
        assert city not in development
        assert city in hard
