"""A classification: what it answers, how good that is, how sure it is."""

import numpy as np
import pandas as pd
import pytest
import torch

from .conftest import SIZE, Tables
from {{ cookiecutter.package_name }} import fitting, metrics, model, train
from {{ cookiecutter.package_name }}.network import targets


def test_it_learns(fitted: model.Model, tables: Tables) -> None:
    found = fitted.predict(tables[1].frame)
    assert (found["prediction"] == tables[1].frame["label"]).mean() > 0.5


def test_metrics_agree_with_their_definitions() -> None:
    frame = pd.DataFrame({"label": ["a", "b", "b", "new"]})
    prediction = pd.DataFrame({"prediction": ["a", "a", "b", "b"], "probability_a": [0.9, 0.6, 0.2, 0.3]})
    prediction["probability_b"] = 1 - prediction["probability_a"]
    found = metrics.outcome(frame, prediction)
    assert metrics.METRICS["accuracy"](found) == 0.5
    assert metrics.METRICS["balanced_accuracy"](found) == pytest.approx((1 + 1 / 2) / 2)
    np.testing.assert_allclose(metrics.loss(found)[:3], -np.log([0.9, 0.4, 0.8]))
    assert metrics.loss(found)[3] > 20
    table = metrics.per_class(found).set_index("class")
    assert table["precision"].tolist() == [0.5, 0.5]
    assert metrics.calibration_error(found, bins=1) == pytest.approx(abs((0.9 + 0.6 + 0.8 + 0.7) / 4 - 0.5))


def test_calibration_cools_what_is_too_sure(tables: Tables) -> None:
    class Sure(torch.nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = torch.zeros(len(x), 4)
            logits[:, 0] = 20 * self.scale
            return logits, logits

    examples = fitting.Examples(tables[1].pixels(SIZE), targets(tables[1], SIZE))
    assert train.calibrate(Sure(), examples) == pytest.approx(max(train.TEMPERATURES), rel=0.01)
