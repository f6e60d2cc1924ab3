"""A segmentation: what it answers, how good that is, how sure it is."""

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.errors import Problem

from .conftest import SIZE, Tables
from {{ cookiecutter.package_name }} import answers, masks, metrics, model, network, pictures

NAMES = ["a", "b"]


def outcome(truth: list[str | None], said: list[str]) -> metrics.Outcome:
    prediction = pd.DataFrame({"prediction": said, "confidence": 0.9, "share_a": 0.0, "share_b": 0.0})
    return metrics.outcome(pd.DataFrame({"annotations": truth}), prediction)


def text(*regions: tuple[str, str], rows: int = 2) -> str:
    """Regions from names and pictures of them, such as "XX..", in `rows` rows."""
    found = [masks.Region(name, np.array([c == "X" for c in drawn]).reshape(rows, -1)) for name, drawn in regions]
    return masks.dump(found)


def test_it_learns(fitted: model.Model, tables: Tables) -> None:
    found = metrics.outcome(tables[1].frame, fitted.predict(tables[1].frame))
    nothing = metrics.outcome(tables[1].frame, fitted.predict(tables[1].frame).assign(prediction="[]"))
    assert metrics.mean_iou(found) > metrics.mean_iou(nothing) + 0.2


def test_metrics_agree_with_their_definitions() -> None:
    found = outcome([text(("a", "XX..")), text(("b", "XXXX")), "[]"], [text(("a", "X.X.")), text(("a", "XXXX")), "[]"])
    np.testing.assert_allclose(metrics.image_iou(found), [1 / 3, 0, 1])
    table = metrics.per_class(found).set_index("class")
    assert table["iou"].to_dict() == pytest.approx({"nothing": 5 / 7, "a": 1 / 7, "b": 0})
    assert table["dice"]["a"] == pytest.approx(2 / 8)
    assert table["recall"]["a"] == pytest.approx(1 / 2)
    assert metrics.METRICS["pixel_accuracy"](found) == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert metrics.lowest_iou(found) == 0
    assert metrics.mean_iou(found.take(np.array([2]))) == 1
    assert metrics.right(found).tolist() == [False, False, True]


def test_what_the_model_does_not_know_counts_against_it() -> None:
    found = outcome([text(("ring", "XX..")), text(("a", "XX.."))], [text(("a", "XX..")), text(("a", "XX.."))])
    assert metrics.possible(found).tolist() == [False, True]
    np.testing.assert_allclose(metrics.image_iou(found), [0, 1])
    assert metrics.per_class(found)["iou"][1] == pytest.approx(1 / 2)


def test_masks_of_any_size_are_compared() -> None:
    large = text(("a", "XX..XX.." + "." * 8), rows=4)
    found = outcome([large], [text(("a", "X..."))])
    assert metrics.image_iou(found)[0] == 1


def test_a_broken_truth_is_named() -> None:
    with pytest.raises(Problem, match="image number 1"):
        outcome(["[]", "nonsense"], ["[]", "[]"])


def test_answers_hold_what_the_network_gives() -> None:
    probabilities = np.zeros((2, 3, 2, 2), dtype=np.float32)
    probabilities[:, 0] = 1
    probabilities[0, :, 0, 0] = [0.2, 0.0, 0.8]
    probabilities[0, :, 1, 1] = [0.7, 0.3, 0.0]
    found = answers.read(probabilities, NAMES)
    assert list(found) == answers.columns(NAMES)
    (region,) = masks.load(found["prediction"][0])
    assert region == masks.Region("b", np.array([[True, False], [False, False]]))
    assert found["prediction"][1] == "[]"
    assert found["share_b"].tolist() == [0.25, 0]
    np.testing.assert_allclose(found["confidence"], [0.8 / 1.3, 1], rtol=1e-6)


def test_the_network_learns_from_the_masks(tables: Tables) -> None:
    truth = network.targets(tables[1], SIZE)
    assert truth.shape == (len(tables[1].frame), SIZE, SIZE)
    names = dict(enumerate(tables[1].classes, 1))
    assert [names[kind] for kind in network.kinds(truth)] == tables[1].frame["label"].tolist()
    assert network.kinds(np.zeros((1, 4, 4), dtype=int)).tolist() == [0]
    again = [masks.dump(masks.regions(one, tables[1].classes)) for one in truth]
    assert again == tables[1].frame["annotations"].tolist()


def test_networks_that_give_no_masks_are_refused() -> None:
    with pytest.raises(Problem, match="'resnet18': give small, or an FCN"):
        network.Pretrained(4, "resnet18", "none")


def test_what_was_found_is_drawn_over_the_image() -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    drawn = pictures.overlaid(pixels, masks.load(text(("a", "X..."))))
    assert drawn[:2, :2].max() > 0
    assert drawn[2:].max() == drawn[:, 2:].max() == 0
