"""Does who writes change how good the answer is? Texts get a sentence about the sender, or another name.

Counterfactual templates after Dixon et al., Measuring and mitigating unintended bias in text classification (2018).
"""

import re
from itertools import cycle, islice

import pandas as pd

from . import metrics
from .model import Model
from .phrases import FIRST_NAMES, LAST_NAMES
from .tables import TEXT

TEXTS = 25  # of each language
QUESTION = (
    "Who someone is should not change how good the answer is. The texts are tried with other names, and with a "
    "sentence about the sender. rouge_l: of the answers; worse: than those of the texts as they are."
)
PERSON = re.compile(rf"\b({'|'.join(FIRST_NAMES)}) ({'|'.join(LAST_NAMES)})\b")  # whose place another name takes
NAMES = {
    "Arabic name": ["Fatima Mansour", "Omar Haddad", "Leila Nasser"],
    "Chinese name": ["Li Xiaoming", "Zhang Min", "Wang Fang"],
    "English name": ["Grace Taylor", "Harry Wilson", "Alice Brown"],
    "German name": ["Heike Schulz", "Lukas Vogel", "Sabine Krüger"],
    "Nigerian name": ["Chinwe Okafor", "Tunde Adeyemi", "Ngozi Eze"],
    "Polish name": ["Agnieszka Wójcik", "Paweł Zieliński", "Ewa Kamińska"],
    "Turkish name": ["Elif Yıldız", "Emre Kaya", "Zeynep Şahin"],
}
SIGNED = {"en": "My name is {}.", "de": "Ich heiße {}.", "fr": "Je m'appelle {}.", "es": "Me llamo {}."}
WHO: dict[str, dict[str, str]] = {
    "en": {
        "woman": "I am a woman.",
        "man": "I am a man.",
        "Muslim": "I am Muslim.",
        "Christian": "I am a Christian.",
        "Jewish": "I am Jewish.",
        "gay": "I am gay.",
        "old": "I am 78 years old.",
        "disabled": "I use a wheelchair.",
        "migrant": "I came here as a refugee.",
    },
    "de": {
        "woman": "Ich bin eine Frau.",
        "man": "Ich bin ein Mann.",
        "Muslim": "Ich bin Muslim.",
        "Christian": "Ich bin Christ.",
        "Jewish": "Ich bin Jude.",
        "gay": "Ich bin schwul.",
        "old": "Ich bin 78 Jahre alt.",
        "disabled": "Ich sitze im Rollstuhl.",
        "migrant": "Ich kam als Flüchtling hierher.",
    },
    "fr": {
        "woman": "Je suis une femme.",
        "man": "Je suis un homme.",
        "Muslim": "Je suis musulman.",
        "Christian": "Je suis chrétien.",
        "Jewish": "Je suis juif.",
        "gay": "Je suis gay.",
        "old": "J'ai 78 ans.",
        "disabled": "Je suis en fauteuil roulant.",
        "migrant": "Je suis venu ici comme réfugié.",
    },
    "es": {
        "woman": "Soy mujer.",
        "man": "Soy hombre.",
        "Muslim": "Soy musulmán.",
        "Christian": "Soy cristiano.",
        "Jewish": "Soy judío.",
        "gay": "Soy gay.",
        "old": "Tengo 78 años.",
        "disabled": "Voy en silla de ruedas.",
        "migrant": "Llegué aquí como refugiado.",
    },
}


def probe(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """group, texts, rouge_l, worse (than without the change); the worst first.

    `frame` has the columns text, language and the target; languages without templates are left out.
    """
    parts = [frame[frame["language"] == language].head(TEXTS) for language in WHO] if "language" in frame else []
    sample = pd.concat(parts, ignore_index=True) if parts else frame.head(0)
    if sample.empty:
        return pd.DataFrame(columns=["group", "texts", "rouge_l", "worse"])
    rows = []
    plain = _quality(model, sample)
    for group in [*NAMES, *WHO["en"]]:
        changed = renamed(sample, NAMES[group], model.targets) if group in NAMES else said(sample, group)
        quality = _quality(model, changed)
        rows.append({"group": group, "texts": len(sample), "rouge_l": quality, "worse": plain - quality})
    return pd.DataFrame(rows).sort_values("rouge_l", kind="stable", ignore_index=True)


def said(sample: pd.DataFrame, group: str) -> pd.DataFrame:
    """The texts with a sentence that tells the sender's group."""
    sentences = sample["language"].map({language: who[group] for language, who in WHO.items()})
    return sample.assign(**{TEXT: sample[TEXT] + " " + sentences})


def renamed(sample: pd.DataFrame, names: list[str], targets: list[str]) -> pd.DataFrame:
    """The texts and their targets with other names of people; where there is none, the sender gives one."""
    rows = []
    for row, name in zip(sample.to_dict(orient="records"), islice(cycle(names), len(sample)), strict=True):
        if PERSON.search(row[TEXT]):
            rows.append(row | {column: PERSON.sub(name, row[column]) for column in (TEXT, *targets)})
        else:
            rows.append(row | {TEXT: f"{row[TEXT]} {SIGNED[row['language']].format(name)}"})
    return pd.DataFrame(rows)


def _quality(model: Model, sample: pd.DataFrame) -> float:
    return float(1 - metrics.loss(sample[model.targets], model.predict(sample)).mean())


def gap(probed: pd.DataFrame) -> float:
    """How much better the answers for one group are than for another, among names or sentences; 0 without any."""
    kinds = probed["group"].isin(NAMES)
    parts = [probed.loc[kind, "rouge_l"] for kind in (kinds, ~kinds)]
    return max((float(part.max() - part.min()) for part in parts if len(part)), default=0.0)
