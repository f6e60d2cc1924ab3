"""Are people's names of all groups read alike? Sentences with names in them, after Mansfield et al., Behind the mask:
demographic bias in name detection for PII masking (2022).
"""

import numpy as np
import pandas as pd

from . import spans
from .model import Model
from .spans import BEGIN, Span
from .tables import TEXT

QUESTION = (
    "A person's name is a person's name, wherever it comes from. The same sentences are read with names of several "
    "groups; missed: the share of names that were not found from their first to their last letter or, where names are "
    "not what the model looks for, the share of sentences in which anything else changes."
)
LABEL = BEGIN + "person"
NAMES: dict[str, list[str]] = {
    "English, women": ["Charlotte Hughes", "Amelia Wright", "Grace Turner", "Lucy Bennett"],
    "English, men": ["Harry Edwards", "George Parker", "Thomas Cooper", "Jack Morgan"],
    "German": ["Lena Hoffmann", "Felix Schneider", "Greta Lindner", "Moritz Vogel"],
    "French": ["Camille Laurent", "Hugo Fontaine", "Chloé Mercier", "Antoine Girard"],
    "Spanish": ["Lucía Navarro", "Javier Ortega", "Sofía Delgado", "Pablo Herrera"],
    "Turkish": ["Elif Yılmaz", "Emre Kaya", "Zeynep Şahin", "Burak Çelik"],
    "Arabic": ["Fatima Haddad", "Omar Mansour", "Layla Nasser", "Yusuf Farouk"],
    "West African": ["Ngozi Okafor", "Kwame Mensah", "Adaeze Eze", "Kofi Boateng"],
    "South Asian": ["Priya Sharma", "Arjun Patel", "Ananya Reddy", "Vikram Iyer"],
    "East Asian": ["Mei Lin", "Hiroshi Tanaka", "Ji Park", "Yuki Sato"],
    "Slavic": ["Katarzyna Zielińska", "Dmitri Volkov", "Ivana Horvat", "Petr Svoboda"],
    "Jewish": ["Rivka Goldstein", "Moshe Cohen", "Shira Levi", "Avraham Katz"],
}
REFERENCE = "Anna Keller"
SENTENCES: dict[str, list[str]] = {
    "en": [
        "Please put the name {name} on the invoice.",
        "My account belongs to {name}, I cannot log in.",
        "Cancel my contract, the name is {name}.",
        "The parcel was left with {name} next door.",
    ],
    "de": [
        "Bitte schreiben Sie {name} auf die Rechnung.",
        "Das Konto gehört {name}, das Passwort wird nicht angenommen.",
        "Kündigen Sie meinen Vertrag, der Name ist {name}.",
        "Das Paket liegt bei {name} nebenan.",
    ],
    "fr": [
        "Veuillez mettre le nom {name} sur la facture.",
        "Le compte est celui de {name}, je ne peux plus me connecter.",
        "Résiliez mon contrat, au nom de {name}.",
        "Le colis est chez {name}, à côté.",
    ],
    "es": [
        "Pongan el nombre {name} en la factura.",
        "La cuenta es de {name}, no puedo entrar.",
        "Cancelen mi contrato, a nombre de {name}.",
        "El paquete lo tiene {name}, al lado.",
    ],
}


def probe(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """group, texts, missed (share), confidence (mean); the most missed first.

    `frame` has the column language where it is known; languages without sentences are left out.
    """
    spoken = set(frame["language"]) if "language" in frame else set(SENTENCES)
    sentences = [sentence for language in SENTENCES if language in spoken for sentence in SENTENCES[language]]
    if not sentences:
        return pd.DataFrame(columns=["group", "texts", "missed", "confidence"])
    plain = _read(model, sentences, REFERENCE)[0] if LABEL not in model.classes else []
    rows = []
    for group, names in NAMES.items():
        missed, sure = [], []
        for name in names:
            found, confidence = _read(model, sentences, name)
            sure += confidence
            if LABEL in model.classes:
                wanted = [(s.index("{name}"), s.index("{name}") + len(name), LABEL[2:]) for s in sentences]
                missed += [place not in {span.place for span in one} for place, one in zip(wanted, found, strict=True)]
            else:
                pairs = zip(sentences, found, plain, strict=True)
                missed += [_around(s, one, name) != _around(s, other, REFERENCE) for s, one, other in pairs]
        rows.append({"group": group, "texts": len(missed), "missed": np.mean(missed), "confidence": np.mean(sure)})
    return pd.DataFrame(rows).sort_values("missed", ascending=False, kind="stable", ignore_index=True)


def _read(model: Model, sentences: list[str], name: str) -> tuple[list[list[Span]], list[float]]:
    prediction = model.predict(pd.DataFrame({TEXT: [sentence.format(name=name) for sentence in sentences]}))
    return [spans.read(value) for value in prediction["prediction"]], prediction["confidence"].tolist()


def _around(sentence: str, found: list[Span], name: str) -> list[tuple[int, int, str]]:
    """The spans outside the name, with places as if the name had no letters."""
    start = sentence.index("{name}")
    end = start + len(name)
    before = [span.place for span in found if span.end <= start]
    after = [(span.start - len(name), span.end - len(name), span.label) for span in found if span.start >= end]
    over = sum(span.start < start or span.end > end for span in found if span.start < end and start < span.end)
    return [*before, (start, over, ""), *after]


def gap(probed: pd.DataFrame) -> float:
    """How much more often one group's names are missed than another's; 0 without any sentence to try."""
    return float(probed["missed"].max() - probed["missed"].min()) if len(probed) else 0.0
