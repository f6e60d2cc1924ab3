"""What the tests of the steps need to know of this kind of model."""

import pandas as pd

FAMILY = "dictionary"  # learns in no time


def damaged(targets: "pd.Series[str]") -> "pd.Series[str]":
    """The targets with spans where there is nothing, which nobody can predict."""
    return targets.map(lambda value: value.replace('"label": "', '"label": "not '))
