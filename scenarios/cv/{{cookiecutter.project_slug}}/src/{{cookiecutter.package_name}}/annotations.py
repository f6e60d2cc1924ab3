"""What people say is on the images, in the formats of labelling tools: COCO, Label Studio, Azure ML data labelling.

Every reader returns what it understood and, apart, what it did not: missing and conflicting labels, by image.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from mlops_runtime.errors import Problem

from . import brush, images, masks

CHOICE, BRUSH, PICTURE = "label", "mask", "image"  # names in Label Studio's labelling interface


@dataclass(frozen=True)
class Item:
    """One image with its truth."""

    image_id: str
    width: int  # pixels
    height: int
    label: str | None = None  # of the whole image; where there are regions, the one that all of them have
    regions: list[masks.Region] | None = None  # None: nobody has said; empty: nothing is there
    content: bytes = b""  # the file; empty where only the truth travels
    suggested: bool = False  # label and regions are what the model says; only Label Studio shows that


@dataclass(frozen=True)
class Labels:
    """What a reader found."""

    items: list[Item]
    faults: list[str]  # one sentence each


def agree(names: Iterable[str]) -> str | None:
    """The one label that all of these are; None for none; ValueError when they differ."""
    found = sorted(set(names))
    if len(found) > 1:
        raise ValueError(f"it has conflicting labels: {', '.join(found)}")
    return found[0] if found else None


def to_coco(items: Sequence[Item]) -> str:
    """COCO JSON. A label of the whole image is an annotation without segmentation.

    It cannot say that nothing is on an image: that reads as if nobody had said.
    """
    labels = {name for item in items for name in [item.label, *(one.label for one in item.regions or [])] if name}
    numbers = {name: number for number, name in enumerate(sorted(labels), 1)}
    found: list[dict[str, Any]] = []
    for number, item in enumerate(items, 1):
        if item.label and not item.regions:
            box = [0, 0, item.width, item.height]
            found.append({"image_id": number, "category_id": numbers[item.label], "bbox": box, "iscrowd": 0})
        for region in item.regions or []:
            rle = {"size": list(region.mask.shape), "counts": masks.encode(region.mask)}
            found.append(
                {
                    "image_id": number,
                    "category_id": numbers[region.label],
                    "segmentation": rle,
                    "area": int(region.mask.sum()),
                    "bbox": masks.box(region.mask),
                    "iscrowd": 1,  # what COCO calls a run-length encoded mask
                }
            )
    records = [{"id": n, "file_name": i.image_id, "width": i.width, "height": i.height} for n, i in enumerate(items, 1)]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    annotated = [{"id": number, **record} for number, record in enumerate(found, 1)]
    return json.dumps({"images": records, "categories": categories, "annotations": annotated}, ensure_ascii=False)


def from_coco(text: str) -> Labels:
    """Read COCO JSON: run-length encodings, polygons, or categories alone; the label is the one category there is."""
    content = _json(text)
    try:
        names = {record["id"]: str(record["name"]) for record in content["categories"]}
        pictures = content["images"]
        by_image: dict[Any, list[dict[str, Any]]] = {record["id"]: [] for record in pictures}
        for record in content["annotations"]:
            by_image[record["image_id"]].append(record)
        return _each(
            pictures, lambda record: str(record["file_name"]), lambda r: _coco_item(r, by_image[r["id"]], names)
        )
    except (KeyError, TypeError) as error:
        raise Problem(f"this is no COCO file: {error!r} is missing or wrong.") from None


def _coco_item(record: dict[str, Any], found: list[dict[str, Any]], names: dict[Any, str]) -> Item:
    width, height = int(record["width"]), int(record["height"])
    regions = []
    for one in found:
        shape = one.get("segmentation")
        if isinstance(shape, dict):
            regions.append(masks.Region(names[one["category_id"]], masks.decode(shape["counts"], *shape["size"])))
        elif shape:
            regions.append(masks.Region(names[one["category_id"]], masks.fill(shape, height, width)))
    wanted = {names[one["category_id"]] for one in found}
    if len(wanted) > 1 and not regions:
        agree(wanted)
    label = next(iter(wanted)) if len(wanted) == 1 else None  # several things may be on one image
    return Item(str(record["file_name"]), width, height, label, regions or None)


def common(regions: Iterable[masks.Region]) -> str | None:
    """The one label that all of the regions have; None where there are several or none: an image may show both."""
    found = {region.label for region in regions}
    return found.pop() if len(found) == 1 else None


def to_label_studio(items: Sequence[Item]) -> str:
    """Label Studio's tasks as JSON, the images inside; labels are annotations, or predictions where suggested."""
    tasks = []
    for number, item in enumerate(items, 1):
        source = f"data:{images.media_type(item.content)};base64,{images.pack(item.content)}" if item.content else ""
        data = {"image": source, "image_id": item.image_id, "width": item.width, "height": item.height}
        results = [
            {
                "id": f"brush{number}-{place}",
                "from_name": BRUSH,
                "to_name": PICTURE,
                "type": "brushlabels",
                "original_width": item.width,
                "original_height": item.height,
                "image_rotation": 0,
                "value": {"format": "rle", "rle": brush.encode(region.mask), "brushlabels": [region.label]},
            }
            for place, region in enumerate(item.regions or [])
        ]
        if item.label and not item.regions:
            value = {"choices": [item.label]}
            choice = {"from_name": CHOICE, "to_name": PICTURE, "type": "choices", "value": value}
            results = [{"id": f"choice{number}", **choice}]
        said = [{"result": results}] if item.label or item.regions is not None else []
        kinds = {"annotations": [], "predictions": said} if item.suggested else {"annotations": said}
        tasks.append({"id": number, "data": data, **kinds})
    return json.dumps(tasks, ensure_ascii=False)


def interface(labels: Sequence[str], with_masks: bool) -> str:
    """The labelling interface for Label Studio's project settings: brushes, or a choice for the whole image."""
    kind, name, option = ("BrushLabels", BRUSH, "Label") if with_masks else ("Choices", CHOICE, "Choice")
    options = "\n".join(f'    <{option} value="{escape(label)}"/>' for label in labels)
    return (
        f'<View>\n  <Image name="{PICTURE}" value="$image"/>\n'
        f'  <{kind} name="{name}" toName="{PICTURE}">\n{options}\n  </{kind}>\n</View>\n'
    )


def from_label_studio(text: str) -> Labels:
    """Read Label Studio's JSON export: choices, brushes and polygons; annotators who disagree are a fault."""
    content = _json(text)
    if not isinstance(content, list):
        raise Problem("this is no export of Label Studio: it must be a list of tasks.")
    try:
        return _each(content, lambda task: str(task["data"]["image_id"]), _label_studio_item)
    except (KeyError, TypeError) as error:
        raise Problem(f"this is no export of Label Studio: {error!r} is missing or wrong.") from None


def _label_studio_item(task: dict[str, Any]) -> Item:
    given = [one["result"] for one in task.get("annotations", []) if not one.get("was_cancelled")]
    results = [result for one in given for result in one]
    choices = [
        str(name) for result in results if result.get("type") == "choices" for name in result["value"]["choices"]
    ]
    data = task["data"]
    facts = str(data["image_id"]), int(data.get("width", 0)), int(data.get("height", 0))
    if not given or choices:
        return Item(*facts, agree(choices))
    drawn = [[region for result in one for region in _label_studio_regions(result)] for one in given]
    if any(regions != drawn[0] for regions in drawn):
        raise ValueError("its masks differ between annotators")
    return Item(*facts, common(drawn[0]), drawn[0])


def _label_studio_regions(result: dict[str, Any]) -> list[masks.Region]:
    kind = str(result.get("type"))
    if kind not in ("brushlabels", "polygonlabels"):
        if kind.endswith("labels"):
            raise ValueError(f"it has {kind}; use brushes or polygons")
        return []
    width, height = int(result["original_width"]), int(result["original_height"])
    if kind == "brushlabels":
        mask = brush.decode(result["value"]["rle"], height, width)
    else:  # corners in percent
        corners = [xy / 100 for x, y in result["value"]["points"] for xy in (width * x, height * y)]
        mask = masks.fill([corners], height, width)
    return [masks.Region(str(name), mask) for name in result["value"][kind]]


def to_azureml(items: Sequence[Item]) -> str:
    """Azure ML data labelling's JSON lines: a label for the whole image, or polygons with corners from 0 to 1."""
    lines = []
    for item in items:
        details = {"format": "", "width": str(item.width), "height": str(item.height)}
        record: dict[str, Any] = {"image_url": item.image_id, "image_details": details}
        if item.regions is not None:
            record["label"] = [_azureml_region(region) for region in item.regions]
        elif item.label:
            record["label"] = item.label
        lines.append(record)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _azureml_region(region: masks.Region) -> dict[str, Any]:
    sides = region.mask.shape[::-1]
    corners = [[xy / sides[n % 2] for n, xy in enumerate(polygon)] for polygon in masks.outline(region.mask)]
    return {"label": region.label, "isCrowd": 0, "polygon": corners}


def from_azureml(text: str) -> Labels:
    """Read Azure ML data labelling's JSON lines of an image classification or instance segmentation project.

    https://learn.microsoft.com/azure/machine-learning/reference-automl-images-schema
    """
    records = [_json(line) for line in text.split("\n") if line.strip()]
    try:
        return _each(records, lambda record: _file_name(str(record["image_url"])), _azureml_item)
    except (KeyError, TypeError) as error:
        raise Problem(f"these are no JSON lines of Azure ML data labelling: {error!r} is missing or wrong.") from None


def _azureml_item(record: dict[str, Any]) -> Item:
    details, label = record.get("image_details", {}), record.get("label")
    width, height = (int(str(details.get(side, 0)).removesuffix("px")) for side in ("width", "height"))
    facts = _file_name(str(record["image_url"])), width, height
    names = label if isinstance(label, list) else [] if label is None else [label]
    if label is None or (names and all(isinstance(name, str) for name in names)):
        return Item(*facts, agree(map(str, names)))
    if names and not (width and height):
        raise ValueError("image_details must give width and height, without which polygons have no size")
    regions = [masks.Region(str(one["label"]), _azureml_mask(one["polygon"], width, height)) for one in names]
    return Item(*facts, common(regions), regions)


def _azureml_mask(polygons: list[list[float]], width: int, height: int) -> masks.Array:
    sides = (width, height)
    return masks.fill([[xy * sides[n % 2] for n, xy in enumerate(one)] for one in polygons], height, width)


def _file_name(url: str) -> str:
    """The path within the datastore or folder that an address names."""
    if "://" not in url:
        return url
    place = url.split("://", 1)[1]
    return place.partition("/paths/" if "/paths/" in place else "/")[2]


def _each(records: Sequence[Any], name: Callable[[Any], str], read: Callable[[Any], Item]) -> Labels:
    """Read one record after the other; those that are wrong or twice become faults."""
    items: dict[str, Item] = {}
    faults = []
    for record in records:
        image = name(record)
        try:
            item = read(record)
        except ValueError as error:
            faults.append(f"{image}: {error}")
            continue
        if image in items and items[image] != item:
            faults.append(f"{image}: it is there twice, with different labels")
        items[image] = item
    return Labels(list(items.values()), faults)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Problem(f"this is not valid JSON: {error}.") from None


READERS: dict[str, Callable[[str], Labels]] = {
    "coco": from_coco,
    "label-studio": from_label_studio,
    "azureml": from_azureml,
}
WRITERS: dict[str, Callable[[Sequence[Item]], str]] = {
    "coco": to_coco,
    "label-studio": to_label_studio,
    "azureml": to_azureml,
}
SUFFIXES = {"coco": ".json", "label-studio": ".json", "azureml": ".jsonl"}


def read_folder(folder: Path) -> pd.DataFrame:
    """The images below a folder with the labels of the one annotation file in it: COCO (.json) or Azure ML (.jsonl).

    Returns the columns image_id (the path within the folder), image, label and annotations; images without a label are
    in it too. A Problem lists images that are named but missing, and labels that conflict.
    """
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".json", ".jsonl")]
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise Problem(
            f"{folder}: there must be Parquet files, or images with one annotation file, COCO (.json) or Azure ML "
            f"data labelling (.jsonl); of the latter there are: {found}."
        )
    labels = (from_coco if files[0].suffix == ".json" else from_azureml)(files[0].read_text(encoding="utf-8"))
    pictures = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in images.SUFFIXES
    }
    missing = [item.image_id for item in labels.items if item.image_id not in pictures]
    faults = [*labels.faults, *(f"{name}: there is no such file" for name in missing)]
    if faults:
        raise Problem(f"{files[0].name}:\n" + "\n".join(f"  {fault}" for fault in faults[:20]))
    known = {item.image_id: item for item in labels.items}
    rows = []
    for name, path in pictures.items():
        item = known.get(name)
        regions = masks.dump(item.regions) if item and item.regions is not None else None
        label = item.label if item else None
        rows.append({"image_id": name, "image": path.read_bytes(), "label": label, "annotations": regions})
    return pd.DataFrame(rows, columns=["image_id", "image", "label", "annotations"])
