"""Makes the sample: support tickets in four languages whose truth is known because they are composed from phrases.

`python -m {{ cookiecutter.package_name }}.synthetic data` writes the files of data/ again, byte for byte.
"""

import argparse
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from . import data, phrases
from .text import tokens

LANGUAGES = {"en": 4, "de": 3, "fr": 2, "es": 2}  # how often each is written
MOODS = {"negative": 3, "neutral": 5, "positive": 2}
CHANNELS = {"mail": 5, "web": 3, "app": 2}
KNOWN_INTENTS = ["delivery", "refund", "invoice", "login", "defect", "cancel"]
ENTITIES = ["product", "order", "date", "city", "amount", "person"]
SLOT = re.compile(r"\{(\w+)\}")
BREAK = "\x1f"  # before each sentence but the first while a ticket is made
SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z¿¡])")
Ticket = dict[str, Any]


@dataclass(frozen=True)
class World:
    """What tickets are like at one time; production differs from development in these numbers."""

    typos: float = 0.01  # probability that a letter of a sentence is mistyped
    wrong_labels: float = 0.02  # share of tickets with another intent than the true one
    asides: float = 0.2  # share with a remark about something else
    unseen: float = 0.0  # share of tickets with wordings, cities and names that development never has
    new_products: float = 0.0  # share of products that development never has
    new_intent: float = 0.0  # share of tickets about privacy, which development never has


DEVELOPMENT = World()
PRODUCTION = World(typos=0.03, new_products=0.5, new_intent=0.12)
HARD = World(typos=0.02, wrong_labels=0.05, asides=0.4, unseen=0.5)


def generate(rows: int, seed: int, start: datetime, days: int, world: World, first_id: int = 1) -> list[Ticket]:
    """`rows` tickets in order of time: ticket_id, created, language, channel, text, intent, sentiment, parts, english,
    matter, unseen.

    parts are what the text is made of, entities, sentences and words, as `{"start", "end", "label"}` with character
    offsets into the text, the end exclusive; the label of a word is how it is spelled without typing errors, in lower
    case, or the name of its slot in braces. english is the text in English, without mistakes; matter are the values
    that the sentence about the matter itself names, by slot; unseen says whether its wording is one that development
    never has.
    """
    random = Random(seed)
    moments = sorted(start + timedelta(minutes=random.randrange(days * 24 * 60)) for _ in range(rows))
    return [_ticket(random, first_id + number, moment, world) for number, moment in enumerate(moments)]


def _ticket(random: Random, number: int, moment: datetime, world: World) -> Ticket:
    language, mood, channel = (_draw(random, weights) for weights in (LANGUAGES, MOODS, CHANNELS))
    intent = "privacy" if random.random() < world.new_intent else random.choice(KNOWN_INTENTS)
    wordings = _pairs(phrases.INTENTS, language, intent)
    unseen = random.random() < world.unseen
    if intent in KNOWN_INTENTS:
        wordings = wordings[-phrases.UNSEEN :] if unseen else wordings[: -phrases.UNSEEN]
    sentences = [random.choice(_pairs(phrases.OPENERS, language, mood))]
    if random.random() < world.asides:
        sentences.append(random.choice(list(zip(phrases.ASIDES[language], phrases.ASIDES["en"], strict=True))))
    matter = random.choice(wordings)
    sentences.append(matter)
    if random.random() < 0.15:
        sentences.append((phrases.CONTACT[language], phrases.CONTACT["en"]))
    if random.random() < 0.6:
        sentences.append(random.choice(_pairs(phrases.CLOSERS, language, mood)))
    meant = f" {BREAK}".join(SENTENCE.sub(f" {BREAK}", sentence) for sentence, _ in sentences)
    english = " ".join(sentence for _, sentence in sentences)
    text, parts, values = _fill(random, _mistype(random, meant, world.typos), meant, world, unseen)
    if random.random() < world.wrong_labels:
        intent = random.choice([other for other in KNOWN_INTENTS if other != intent])
    return {
        "ticket_id": number,
        "created": moment.isoformat(timespec="minutes"),
        "language": language,
        "channel": channel,
        "text": text,
        "intent": intent,
        "sentiment": mood,
        "parts": parts,
        "english": SLOT.sub(lambda slot: values[slot[1]], english),
        "matter": {name: values[name] for name in SLOT.findall(matter[0])},
        "unseen": unseen,
    }


def _pairs(table: dict[str, dict[str, list[str]]], language: str, what: str) -> list[tuple[str, str]]:
    """The wordings in a language, each with the English one."""
    return list(zip(table[language][what], table["en"][what], strict=True))


def _draw(random: Random, weights: dict[str, int]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def _mistype(random: Random, template: str, rate: float) -> str:
    """Letters outside braces are swapped, dropped or doubled."""
    pieces = SLOT.split(template)
    for place in range(0, len(pieces), 2):
        letters = list(pieces[place])
        for i, letter in enumerate(letters[:-1]):
            if letter.isalpha() and letters[i + 1].isalpha() and random.random() < rate:
                kind = random.randrange(3)
                if kind == 0:
                    letters[i], letters[i + 1] = letters[i + 1], letters[i]
                else:
                    letters[i] = "" if kind == 1 else letter * 2
        pieces[place] = "".join(letters)
    return "".join(piece if i % 2 == 0 else "{" + piece + "}" for i, piece in enumerate(pieces))


def _fill(
    random: Random, template: str, meant: str, world: World, unseen: bool
) -> tuple[str, dict[str, list[dict[str, Any]]], dict[str, str]]:
    """The text, where its parts are, and the values by slot; within one ticket a slot has one value."""
    text = ""
    starts = [0]
    entities: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    values: dict[str, str] = {}
    for place, (piece, original) in enumerate(zip(SLOT.split(template), SLOT.split(meant), strict=True)):
        if place % 2:
            value = values.setdefault(piece, _value(random, piece, world, unseen))
            part = {"start": len(text), "end": len(text) + len(value)}
            words.append({**part, "label": "{" + piece + "}"})
            if piece in ENTITIES:
                entities.append({**part, "label": piece})
            text += value
            continue
        for number, (written, wanted) in enumerate(zip(piece.split(BREAK), original.split(BREAK), strict=True)):
            if number:
                starts.append(len(text))
            for word, right in zip(tokens(written), tokens(wanted), strict=True):
                found = {"start": len(text) + word.start, "end": len(text) + word.end}
                words.append({**found, "label": right.text.lower()})
            text += written
    ends = [*starts[1:], len(text)]
    sentences = [
        {"start": start, "end": start + len(text[start:end].rstrip()), "label": "sentence"}
        for start, end in zip(starts, ends, strict=True)
    ]
    return text, {"entities": entities, "sentences": sentences, "words": words}, values


def _value(random: Random, slot: str, world: World, unseen: bool) -> str:
    if slot == "product":
        new = random.random() < world.new_products
        return random.choice(phrases.NEW_PRODUCTS if new else phrases.PRODUCTS)
    if slot == "order":
        return f"{random.choice('ABCDX')}-{random.randrange(10_000, 100_000)}"
    if slot == "date":
        day, month = random.randrange(1, 29), random.randrange(1, 13)
        return random.choice([f"{day}.{month}.", f"{day:02}/{month:02}", f"2025-{month:02}-{day:02}"])
    if slot == "city":
        return random.choice(phrases.UNSEEN_CITIES if unseen else phrases.CITIES)
    if slot == "amount":
        number = f"{random.randrange(5, 400)}.{random.randrange(100):02}"
        return random.choice([f"{number} €", f"€{number}", f"{number} EUR"])
    if slot == "person" and unseen:
        return random.choice(phrases.UNSEEN_NAMES)
    first, last = random.choice(phrases.FIRST_NAMES), random.choice(phrases.LAST_NAMES)
    if slot == "person":
        return f"{first} {last}"
    if slot == "email":
        return f"{first}.{last}@example.com".lower()
    return f"+49 30 {random.randrange(10**6, 10**7)}"


def sample() -> dict[str, list[Ticket]]:
    """File name without its ending → tickets: development, the hard test, and production after a shift."""
    spring, autumn = datetime(2025, 1, 1), datetime(2025, 9, 1)
    hard = generate(700, 2, spring, 240, HARD, first_id=50_001)
    later = generate(300, 3, autumn, 30, DEVELOPMENT, first_id=60_001)
    return {
        "tickets": generate(3600, 1, spring, 240, DEVELOPMENT),
        "tickets-hard": hard,
        "tickets-new": later + generate(900, 4, autumn + timedelta(30), 60, PRODUCTION, first_id=70_001),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    folder = parser.parse_args().folder
    for name, tickets in sample().items():
        data.write(folder / f"{name}{data.SUFFIX}", tickets)


if __name__ == "__main__":
    main()
