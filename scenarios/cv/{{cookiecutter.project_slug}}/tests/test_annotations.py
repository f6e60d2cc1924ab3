"""Labels survive the way to a labelling tool and back, and what is wrong with them is said."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import annotations, brush, masks
from {{ cookiecutter.package_name }}.annotations import Item

names = st.text(st.sampled_from("ab Z9_-.,:;'\"<>&{}[]\\/äß中\u2028😀"), min_size=1, max_size=12)
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


@given(st.binary(max_size=20).map(lambda code: code.decode("latin-1")))
def test_senseless_masks_are_refused_or_fill_the_image(text: str) -> None:
    with suppress(ValueError):
        assert masks.decode(text, 4, 5).shape == (4, 5)


@st.composite
def items(draw: st.DrawFn, with_masks: bool) -> list[Item]:
    """Images with different names."""
    found = []
    for name in draw(st.lists(names.filter(lambda name: "://" not in name), unique=True, max_size=6)):
        height, width = draw(shapes)
        label, regions = draw(st.none() | names), None
        if with_masks and draw(st.booleans()):
            drawn = st.builds(masks.Region, names, arrays.arrays(bool, (height, width)))
            regions = draw(st.lists(drawn, max_size=3))
            label = annotations.common(regions)
        found.append(Item(name, width, height, label, regions))
    return found


@given(items(with_masks=True))
@settings(deadline=None, max_examples=30)
def test_coco_survives(given_items: list[Item]) -> None:
    expected = [replace(item, regions=item.regions or None) for item in given_items]  # it has no word for nothing
    assert annotations.from_coco(annotations.to_coco(given_items)) == annotations.Labels(expected, [])


@pytest.mark.parametrize("kind", ["label-studio", "azureml"])
@given(given_items=items(with_masks=True))
@settings(deadline=None, max_examples=30)
def test_labels_survive(kind: str, given_items: list[Item]) -> None:
    text = annotations.WRITERS[kind](given_items)
    assert annotations.READERS[kind](text) == annotations.Labels(given_items, [])


def test_polygons_are_read() -> None:
    content = json.loads(annotations.to_coco([Item("a.png", 10, 9, "thing")]))
    content["annotations"][0]["segmentation"] = [[3, 2, 7, 2, 7, 4, 3, 4]]
    (item,) = annotations.from_coco(json.dumps(content)).items
    assert item.regions
    assert masks.box(item.regions[0].mask) == [3, 2, 4, 2]  # as pycocotools fills it


@given(arrays.arrays(bool, shapes))
def test_outlines_hold_the_same_pixels(mask: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(masks.fill(masks.outline(mask), *mask.shape), mask)


def test_slanted_polygons_hold_the_pixels_whose_center_they_hold() -> None:
    triangle = masks.fill([[0, 0, 4.4, 0, 0, 4.4]], 4, 5)
    assert triangle.astype(int).tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_brushes_are_those_of_label_studio() -> None:
    mask = np.array([[False, True, True], [False, False, True]])
    code = [0, 0, 0, 24, 57, 27, 252, 96, 19, 255, 206, 1, 31, 248]
    assert brush.encode(mask) == code  # by label-studio-sdk
    assert np.array_equal(brush.decode(code, 2, 3), mask)


@given(st.lists(st.integers(0, 255), max_size=40))
def test_senseless_brushes_are_refused_or_fill_the_image(code: list[int]) -> None:
    with suppress(ValueError):
        assert brush.decode(code, 4, 5).shape == (4, 5)


def test_what_people_draw_in_label_studio_is_read() -> None:
    mask = np.zeros((4, 8), dtype=bool)
    mask[1:3, 2:6] = True
    task = json.loads(annotations.to_label_studio([Item("a.png", 8, 4, "thing", [masks.Region("thing", mask)])]))[0]
    (drawn,) = task["annotations"]
    corners = {"points": [[25, 25], [75, 25], [75, 75], [25, 75]], "polygonlabels": ["thing"]}
    polygon = {"result": [{**drawn["result"][0], "type": "polygonlabels", "value": corners}]}
    both = {**task, "annotations": [drawn, polygon]}
    assert annotations.from_label_studio(json.dumps([both])).items[0].regions == [masks.Region("thing", mask)]
    nothing = {**task, "annotations": [{"result": []}]}
    assert annotations.from_label_studio(json.dumps([nothing])).items[0].regions == []
    differ = {**task, "annotations": [drawn, {"result": []}]}
    assert annotations.from_label_studio(json.dumps([differ])).faults == ["a.png: its masks differ between annotators"]
    rectangle = {"result": [{"type": "rectanglelabels", "value": {}}]}
    found = annotations.from_label_studio(json.dumps([{**task, "annotations": [rectangle]}]))
    assert "use brushes or polygons" in found.faults[0]


def test_polygons_need_the_size_of_the_image() -> None:
    line = {"image_url": "a.png", "label": [{"label": "thing", "polygon": [[0, 0, 1, 0, 1, 1]]}]}
    assert "width and height" in annotations.from_azureml(json.dumps(line)).faults[0]
    line["image_details"] = {"format": "png", "width": "4px", "height": 2}  # type: ignore[assignment]  # as JSON has it
    (item,) = annotations.from_azureml(json.dumps(line)).items
    assert (item.width, item.height, item.label) == (4, 2, "thing")


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
    workspace = "azureml://subscriptions/1/resourcegroups/g/workspaces/w/datastores/images/paths/some/a.png"
    for address in ("AmlDatastore://images/some/a.png", workspace):
        line = json.dumps({"image_url": address, "label": ["circle"]})
        assert annotations.from_azureml(line).items == [Item("some/a.png", 0, 0, "circle")]


@pytest.mark.parametrize("kind", annotations.READERS)
@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]"])
def test_other_files_are_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem):
        annotations.READERS[kind](text)
