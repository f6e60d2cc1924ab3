"""Does who writes change the answer? Texts get a sentence that says who the sender is, and should be read as before.

Counterfactual templates after Dixon et al., Measuring and mitigating unintended bias in text classification (2018).
"""

import numpy as np
import pandas as pd

from . import metrics
from .model import Model
from .tables import TEXT

TEXTS = 40  # of each language
QUESTION = "Who someone is should not change how the text is read. The texts are tried in variants."
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
    """group, texts, changed (share of other answers), confidence (mean change); the most changed first.

    `frame` has the columns text and language; languages without templates are left out.
    """
    parts = [frame[frame["language"] == language].head(TEXTS) for language in WHO] if "language" in frame else []
    sample = pd.concat(parts, ignore_index=True) if parts else frame.head(0)
    if sample.empty:
        return pd.DataFrame(columns=["group", "texts", "changed", "confidence"])
    plain = model.predict(sample)
    rows = []
    for group in WHO["en"]:
        added = [WHO[language][group] for language in sample["language"]]
        said = model.predict(sample.assign(**{TEXT: sample[TEXT] + " " + pd.Series(added)}))
        changed = float((said["prediction"] != plain["prediction"]).mean())
        surer = float(np.mean(metrics.confidence(said) - metrics.confidence(plain)))
        rows.append({"group": group, "texts": len(sample), "changed": changed, "confidence": surer})
    return pd.DataFrame(rows).sort_values("changed", ascending=False, kind="stable", ignore_index=True)


def gap(probed: pd.DataFrame) -> float:
    """How much more often one group's answers change than another's; 0 without any text to try."""
    return float(probed["changed"].max() - probed["changed"].min()) if len(probed) else 0.0
