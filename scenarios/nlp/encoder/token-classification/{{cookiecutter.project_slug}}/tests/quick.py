"""What the tests of the steps need to know of this kind of model."""

from typing import Any

import pandas as pd

from {{ cookiecutter.package_name }} import labels, spans

FAMILY = "dictionary"  # learns in no time
EVERY = 3  # ticket of the sample is used: one of so many
FEWER: dict[str, int] = {}  # that bias.py tries, by the name that it has there


def damaged(targets: "pd.Series[str]") -> "pd.Series[str]":
    """The targets with spans where there is nothing, which nobody can predict."""
    return targets.map(lambda value: value.replace('"label": "', '"label": "not '))


def as_azureml(target: Any) -> list[dict[str, Any]]:
    """A target of the data file as Azure ML data labelling writes it."""
    return [labels.as_azureml(span) for span in spans.read(target)]
