"""The human in the loop: which images go to people, and what becomes of their labels. Behind `mlops label`."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from . import annotations, answers, data, images, masks, review

IMAGES = "images"  # subfolder of an export
CHOSEN = "chosen.parquet"  # the images of an export, for the way back
INTERFACE = "to-label.xml"  # of Label Studio


def file(kind: str) -> str:
    """The name of the file for the labelling tool."""
    return f"to-label{annotations.SUFFIXES[kind]}"


def export(scored: pd.DataFrame, folder: Path, kind: str, count: int, contract: Contract) -> pd.DataFrame:
    """Choose `count` images and write them with the labelling tool's file; returns them.

    For Label Studio the model's answers go with them, and the labelling interface with the contract's classes.

    `scored` has the columns image_id and image and the model's outputs, or is what `review.find` returned.
    """
    if count < 1:
        raise Problem(f"--count {count}: give at least 1.")
    if data.ID not in scored:
        raise Problem(f"the images have no column {data.ID}: without it labels cannot find their way back.")
    found = scored if review.URGENCY in scored else review.find(scored)
    found = found[found["prediction"].notna()]
    if found.empty:
        raise Problem("there is no image to label: the model is sure of all, and they are like those that it knows.")
    chosen = review.choose(found.reset_index(drop=True), count)
    for old in exported(folder):
        old.unlink(missing_ok=True)
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    items = []
    for identifier, value, answer in zip(chosen[data.ID], chosen[data.IMAGE], chosen["prediction"], strict=True):
        content = images.unpack(value)
        picture = images.read(content)
        label, regions = answers.as_truth(answer, picture.height, picture.width)
        facts = str(identifier), picture.width, picture.height
        items.append(annotations.Item(*facts, label, regions, content, suggested=True))
        name = file_name(str(identifier), content)
        (folder / IMAGES / name).write_bytes(content)
    kept = pd.DataFrame({data.ID: [item.image_id for item in items], data.IMAGE: [item.content for item in items]})
    kept.to_parquet(folder / CHOSEN, index=False)
    if kind == "label-studio":
        interface = annotations.interface(data.classes(contract), with_masks=answers.TARGET == data.REGIONS)
        (folder / INTERFACE).write_text(interface, encoding="utf-8", newline="\n")
    else:
        items = [_bare(item) for item in items]
    (folder / file(kind)).write_text(annotations.WRITERS[kind](items), encoding="utf-8", newline="\n")
    return chosen


def exported(folder: Path) -> list[Path]:
    """The files of an earlier export to this folder; what others put there is not among them."""
    if not (folder / CHOSEN).is_file():
        return []
    chosen = pd.read_parquet(folder / CHOSEN)
    names = map(file_name, chosen[data.ID], chosen[data.IMAGE])
    tools = {folder / INTERFACE, *(folder / file(kind) for kind in annotations.WRITERS)}
    return [*(folder / IMAGES / name for name in names), *sorted(tools), folder / CHOSEN]


def _bare(item: annotations.Item) -> annotations.Item:
    """With the name of its file in place of its id, and without what the model says."""
    name = f"{IMAGES}/{file_name(item.image_id, item.content)}"
    return replace(item, image_id=name, label=None, regions=None)


def file_name(identifier: str, content: bytes) -> str:
    """A file name that is legal everywhere."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in identifier.rpartition(".")[0])
    plain = plain or "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in identifier)
    return f"{plain}-{int(data.chance(identifier, 'file') * 2**32):08x}.{images.media_type(content)[6:]}"


def take(path: Path, kind: str, folder: Path, existing: Path) -> tuple[pd.DataFrame, list[str]]:
    """The exported images with the labels that people gave them, and what is missing or conflicts, by image.

    Returns the columns image_id, image, label and annotations, without images whose truth is in one of the Parquet
    files in `existing`.
    """
    if not (folder / CHOSEN).is_file():
        raise Problem(f"{folder} holds no export: give the folder that `mlops label export` wrote with --exported.")
    chosen = pd.read_parquet(folder / CHOSEN)
    ids = {file_name(name, content): name for name, content in zip(chosen[data.ID], chosen[data.IMAGE], strict=True)}
    labels = annotations.READERS[kind](path.read_text(encoding="utf-8"))
    faults = list(labels.faults)
    known: dict[str, annotations.Item] = {}
    for item in labels.items:
        name = ids.get(item.image_id.rpartition("/")[2], item.image_id)
        if name in set(chosen[data.ID]):
            known[name] = item
        else:
            faults.append(f"{item.image_id}: it is not one of the exported images")
    before = data.told(existing, answers.TARGET)
    rows = []
    for name, content in zip(chosen[data.ID], chosen[data.IMAGE], strict=True):
        found = known.get(name)
        regions = masks.dump(found.regions) if found and found.regions is not None else None
        row = {data.ID: name, data.IMAGE: content, data.LABEL: found.label if found else None, data.REGIONS: regions}
        if row[answers.TARGET] is None:
            faults.append(f"{name}: it has no label")
        elif name in before:
            faults.append(f"{name}: it has {answers.TARGET} already, in {before[name]}")
        else:
            rows.append(row)
    return pd.DataFrame(rows, columns=[data.ID, data.IMAGE, data.LABEL, data.REGIONS]), faults
