"""What people would have written about the generated tickets: summaries, translations, questions and answers."""

from collections.abc import Mapping
from random import Random
from typing import Any

TITLES: dict[str, dict[str, str]] = {
    "en": {
        "delivery": "Parcel has not arrived",
        "refund": "Wants the money back",
        "invoice": "Something about the invoice",
        "login": "Cannot log in",
        "defect": "Device is broken",
        "cancel": "Wants to cancel",
        "privacy": "Asks about personal data",
    },
    "de": {
        "delivery": "Paket ist nicht angekommen",
        "refund": "Möchte das Geld zurück",
        "invoice": "Anliegen zur Rechnung",
        "login": "Anmeldung klappt nicht",
        "defect": "Gerät ist kaputt",
        "cancel": "Möchte kündigen",
        "privacy": "Fragt nach den eigenen Daten",
    },
    "fr": {
        "delivery": "Colis pas arrivé",
        "refund": "Souhaite être remboursé",
        "invoice": "Question sur la facture",
        "login": "Connexion impossible",
        "defect": "Appareil en panne",
        "cancel": "Souhaite annuler",
        "privacy": "Question sur ses données",
    },
    "es": {
        "delivery": "El paquete no ha llegado",
        "refund": "Quiere el reembolso",
        "invoice": "Consulta sobre la factura",
        "login": "No puede entrar",
        "defect": "El aparato está roto",
        "cancel": "Quiere cancelar",
        "privacy": "Pregunta por sus datos",
    },
}
MOODS: dict[str, dict[str, str]] = {
    "en": {"negative": "The customer is angry.", "positive": "The customer is friendly."},
    "de": {"negative": "Der Ton ist verärgert.", "positive": "Der Ton ist freundlich."},
    "fr": {"negative": "Le client est fâché.", "positive": "Le client est aimable."},
    "es": {"negative": "El cliente está enfadado.", "positive": "El cliente es amable."},
}
# What is asked about → wordings; the last one is kept for the hard test file.
QUESTIONS: dict[str, dict[str, list[str]]] = {
    "en": {
        "matter": ["What is the matter?", "What does the customer write about?", "Why did we get this message?"],
        "product": ["Which product is it?", "What is the name of the product?", "What did the customer buy?"],
        "order": ["What is the order number?", "Which order is meant?", "Under which number was it ordered?"],
        "date": ["Which date is named?", "On which day?", "When was that?"],
        "city": ["Which city is named?", "In which city?", "Where is that?"],
        "amount": ["How much money is it about?", "Which amount is named?", "What is the sum?"],
        "person": ["Which person is named?", "What is the person's name?", "Who is mentioned?"],
    },
    "de": {
        "matter": ["Worum geht es?", "Was ist das Anliegen?", "Warum wurde uns geschrieben?"],
        "product": ["Um welches Produkt geht es?", "Wie heißt das Produkt?", "Was wurde gekauft?"],
        "order": ["Wie lautet die Bestellnummer?", "Welche Bestellung ist gemeint?", "Unter welcher Nummer?"],
        "date": ["Welches Datum wird genannt?", "An welchem Tag?", "Wann war das?"],
        "city": ["Welche Stadt wird genannt?", "In welcher Stadt?", "Wo ist das?"],
        "amount": ["Um wie viel Geld geht es?", "Welcher Betrag wird genannt?", "Wie hoch ist die Summe?"],
        "person": ["Welche Person wird genannt?", "Wie heißt die Person?", "Wer wird erwähnt?"],
    },
    "fr": {
        "matter": ["De quoi s'agit-il ?", "Quel est le sujet ?", "Pourquoi ce message ?"],
        "product": ["De quel produit s'agit-il ?", "Quel est le nom du produit ?", "Qu'est-ce qui a été acheté ?"],
        "order": ["Quel est le numéro de commande ?", "Quelle commande ?", "Sous quel numéro ?"],
        "date": ["Quelle date est citée ?", "Quel jour ?", "C'était quand ?"],
        "city": ["Quelle ville est citée ?", "Dans quelle ville ?", "Où est-ce ?"],
        "amount": ["De combien d'argent s'agit-il ?", "Quel montant est cité ?", "Quelle est la somme ?"],
        "person": ["Quelle personne est citée ?", "Quel est le nom de la personne ?", "Qui est mentionné ?"],
    },
    "es": {
        "matter": ["¿De qué se trata?", "¿Cuál es el asunto?", "¿Por qué nos escriben?"],
        "product": ["¿De qué producto se trata?", "¿Cómo se llama el producto?", "¿Qué se compró?"],
        "order": ["¿Cuál es el número de pedido?", "¿Qué pedido es?", "¿Con qué número?"],
        "date": ["¿Qué fecha se nombra?", "¿Qué día?", "¿Cuándo fue?"],
        "city": ["¿Qué ciudad se nombra?", "¿En qué ciudad?", "¿Dónde está?"],
        "amount": ["¿De cuánto dinero se trata?", "¿Qué importe se nombra?", "¿Cuál es la suma?"],
        "person": ["¿Qué persona se nombra?", "¿Cómo se llama la persona?", "¿A quién se menciona?"],
    },
}
ABSENT = {"en": "Not stated.", "de": "Nicht angegeben.", "fr": "Non précisé.", "es": "No se indica."}
ABSENT_SHARE = 0.1  # of the questions, about something that the text does not say
UNASKED, ASKED_SINCE = 0.25, "2025-09"  # share of the tickets before then that nobody asked anything about


def targets(ticket: Mapping[str, Any]) -> dict[str, str | None]:
    """question, summary, translation and answer of a generated ticket.

    The summary is in the ticket's language; the translation is English, and there is none of an English ticket.
    """
    random = Random(ticket["ticket_id"])
    language, intent, matter = ticket["language"], ticket["intent"], ticket["matter"]
    title = TITLES[language][intent]
    what = ": ".join(part for part in (title, ", ".join(matter.values())) if part)
    mood = MOODS[language].get(ticket["sentiment"], "")
    known = ["matter", *matter]
    absent = random.random() < ABSENT_SHARE
    # The text may name a product or a date beside the matter: only what it does not name at all is absent.
    named = {entity["label"] for entity in ticket["parts"]["entities"]}
    about = random.choice([name for name in QUESTIONS[language] if name not in {*named, "matter"}] if absent else known)
    wordings = QUESTIONS[language][about]
    question = random.choice(wordings[-1:] if ticket["unseen"] else wordings[:-1])
    asked = random.random() > UNASKED or ticket["created"] >= ASKED_SINCE
    return {
        "question": question if asked else None,
        "summary": f"{what.rstrip('.')}. {mood}".strip(),
        "translation": None if language == "en" else ticket["english"],
        "answer": (ABSENT[language] if absent else {"matter": title, **matter}[about]) if asked else None,
    }
