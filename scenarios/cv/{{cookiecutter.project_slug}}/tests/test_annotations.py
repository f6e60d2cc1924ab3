"""Labels survive the way to a labelling tool and back, and what is wrong with them is said."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import annotations, masks
from {{ cookiecutter.package_name }}.annotations import Item

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))


@given(arrays.arrays(bool, shapes))
def test_masks_survive(mask: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(masks.decode(masks.encode(mask), *mask.shape), mask)
    (region,) = masks.load(masks.dump([masks.Region("thing", mask)]))
    assert region == masks.Region("thing", mask)


def test_masks_are_those_of_coco() -> None:
    mask = np.zeros((9, 10), dtype=bool)
    mask[2:5, 3:8] = True
    assert masks.encode(mask) == "m0360000000`0"  # by pycocotools
    counts = [29, 3, 6, 3, 6, 3, 6, 3, 6, 3, 22]
    assert np.array_equal(masks.decode(counts, 9, 10), mask)
    assert masks.box(mask) == [3, 2, 5, 3]


@given(st.text(max_size=20))
def test_senseless_masks_are_refused_or_fill_the_image(text: str) -> None:
    with suppress(ValueError):
        assert masks.decode(text, 4, 5).shape == (4, 5)


@st.composite
def items(draw: st.DrawFn, with_masks: bool) -> list[Item]:
    """Images with different names."""
    found = []
    for name in draw(st.lists(names.filter(lambda name: "://" not in name), unique=True, max_size=6)):
        height, width = draw(shapes)
        label = draw(st.none() | names)
        regions = []
        if with_masks and label and draw(st.booleans()):
            drawn = draw(st.lists(arrays.arrays(bool, (height, width)), min_size=1, max_size=3))
            regions = [masks.Region(label, mask) for mask in drawn]
        found.append(Item(name, width, height, label, regions))
    return found


@given(items(with_masks=True))
@settings(deadline=None)
def test_coco_survives(given_items: list[Item]) -> None:
    assert annotations.from_coco(annotations.to_coco(given_items)) == annotations.Labels(given_items, [])


@pytest.mark.parametrize("kind", ["label-studio", "azureml"])
@given(given_items=items(with_masks=False))
@settings(deadline=None)
def test_labels_survive(kind: str, given_items: list[Item]) -> None:
    text = annotations.WRITERS[kind](given_items)
    assert annotations.READERS[kind](text) == annotations.Labels(given_items, [])


def test_polygons_are_read() -> None:
    content = json.loads(annotations.to_coco([Item("a.png", 10, 9, "thing")]))
    content["annotations"][0]["segmentation"] = [[3, 2, 7, 2, 7, 4, 3, 4]]
    (item,) = annotations.from_coco(json.dumps(content)).items
    assert masks.box(item.regions[0].mask) == [3, 2, 5, 3]


def test_conflicts_are_said() -> None:
    task = json.loads(annotations.to_label_studio([Item("a.png", 10, 9, "circle")]))[0]
    other = json.loads(annotations.to_label_studio([Item("a.png", 10, 9, "square")]))[0]
    both = {**task, "annotations": task["annotations"] + other["annotations"]}
    found = annotations.from_label_studio(json.dumps([both]))
    assert found.faults == ["a.png: it has conflicting labels: circle, square"]
    skipped = {**task, "annotations": [*task["annotations"], {**other["annotations"][0], "was_cancelled": True}]}
    assert annotations.from_label_studio(json.dumps([skipped])).items[0].label == "circle"
    lines = annotations.to_azureml([Item("a.png", 1, 1, "circle")]) + annotations.to_azureml([Item("a.png", 1, 1, "b")])
    assert "twice" in annotations.from_azureml(lines).faults[0]


def test_addresses_in_a_datastore_are_shortened() -> None:
    line = json.dumps({"image_url": "AmlDatastore://images/some/a.png", "label": ["circle"]})
    assert annotations.from_azureml(line).items == [Item("some/a.png", 0, 0, "circle")]


@pytest.mark.parametrize("kind", annotations.READERS)
@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]"])
def test_other_files_are_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem):
        annotations.READERS[kind](text)
