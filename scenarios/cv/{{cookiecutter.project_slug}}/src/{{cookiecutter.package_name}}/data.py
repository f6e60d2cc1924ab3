"""The images with their truth: read them, hold them against their contract, split them, hand them from step to step."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from . import annotations, images, masks

Array = np.ndarray[Any, Any]
ID, IMAGE, LABEL, REGIONS = "image_id", "image", "label", "annotations"
SHOWN = 20  # bad files in a message
NOWHERE = "none"  # as hold_out: no images are held out


@dataclass(frozen=True)
class Table:
    """One row per image, with the contract that says what the columns are for."""

    frame: pd.DataFrame
    contract: Contract
    version: str  # of the raw data they come from

    @property
    def classes(self) -> list[str]:
        """What the contract says can be on an image."""
        return classes(self.contract)

    def pixels(self, size: int) -> Array:
        """The images as the model sees them: (images, size, size, 3) uint8."""
        return np.stack([images.to_array(content, size) for content in self.frame[IMAGE]])

    def save(self, folder: Path) -> None:
        """Write data.parquet, contract.yml and data.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.frame.to_parquet(folder / "data.parquet", index=False)
        self.contract.save(folder / "contract.yml")
        facts = json.dumps({"version": self.version, "rows": len(self.frame)}, indent=2)
        (folder / "data.json").write_text(facts + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path) -> "Table":
        """Read what `save` wrote."""
        facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        return cls(pd.read_parquet(folder / "data.parquet"), Contract.load(folder / "contract.yml"), facts["version"])


def classes(contract: Contract) -> list[str]:
    """The labels that the contract allows."""
    names = contract.columns[LABEL].values if LABEL in contract.columns else None
    if not names or len(names) < 2:
        raise Problem(f"the contract must list at least two classes: give the column {LABEL} its values.")
    return [str(name) for name in names]


def load(path: Path, contract: Contract) -> pd.DataFrame:
    """Read a Parquet file, a folder of such files, or a folder of images with a COCO or Azure ML labelling export.

    Returns the contract's columns with its types. ContractError or Problem say what is wrong; bad images by name.
    """
    if path.is_dir():
        files = sorted(path.glob("*.parquet"))
        frame = _together(files) if files else annotations.read_folder(path)
    elif path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    else:
        raise Problem(f"{path.name} is neither a folder nor a Parquet file by its name.")
    optional = [name for name, column in contract.columns.items() if column.nullable and name not in frame]
    frame = contract.validate_table(frame.assign(**dict.fromkeys(optional)), source=path.name)
    told = frame[REGIONS] if REGIONS in frame else pd.Series(None, index=frame.index)
    faults = []
    for name, content, text in zip(frame[ID], frame[IMAGE], told, strict=True):
        try:
            picture = images.read(content)
            if isinstance(text, str):
                check_regions(masks.load(text), picture.size, classes(contract))
        except (images.BadImage, ValueError) as fault:
            faults.append(f"  {name}: {fault}")
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise Problem(f"{path.name} has {len(faults)} bad image(s):\n" + "\n".join(faults[:SHOWN]) + more)
    return frame


def check_regions(regions: list[masks.Region], size: tuple[int, int], known: list[str]) -> None:
    """ValueError unless masks have the image's size, (width, height), and known labels."""
    for region in regions:
        height, width = region.mask.shape
        if (width, height) != size:
            raise ValueError(f"a mask has {width} × {height} pixels, the image {size[0]} × {size[1]}")
        if region.label not in known:
            raise ValueError(f"the label {region.label!r} of a mask is not one of {', '.join(known)}")


def _together(files: list[Path]) -> pd.DataFrame:
    """The rows of all files. An image gives way to the same one with more truth; two with as much are a Problem."""
    everything = pd.concat([pd.read_parquet(file).assign(file=file.name) for file in files], ignore_index=True)
    if ID not in everything:
        return everything
    told = everything[[name for name in (LABEL, REGIONS) if name in everything]].notna().sum(axis=1)
    everything = everything[told == told.groupby(everything[ID]).transform("max")]
    for image, places in everything[everything.duplicated(ID, keep=False)].groupby(ID)["file"]:
        if places.nunique() > 1:
            one, other, *_ = places.unique()
            raise Problem(f"the image {image} is in {one} and in {other}: remove it from one of them.")
    return everything.drop(columns="file").reset_index(drop=True)


def told(folder: Path, target: str) -> dict[str, str]:
    """The images whose `target` is known in a folder's Parquet files, each with the file's name."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.parquet")):
        frame = pd.read_parquet(file).reindex(columns=[ID, target])
        found |= dict.fromkeys(frame.loc[frame[target].notna(), ID], file.name)
    return found


def version(path: Path) -> str:
    """The first 12 digits of the SHA-256 of a file, or of a folder's names and bytes."""
    total = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            total.update(file.relative_to(path).as_posix().encode() + b"\0")
        total.update(file.read_bytes())
    return total.hexdigest()[:12]


def chance(identifier: object, salt: str) -> float:
    """A number from 0 to 1 that belongs to an image for good: it stays where it is when others are added."""
    return int(hashlib.sha256(f"{salt}/{identifier}".encode()).hexdigest()[:8], 16) / 2**32


def split(frame: pd.DataFrame, fraction: float, salt: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to learn from and about `fraction` of all, drawn by their id, to be judged on."""
    if not 0 < fraction < 1:
        raise Problem(f"test_fraction is {fraction}: give a number between 0 and 1, for example 0.25.")
    drawn = frame[ID].map(lambda identifier: chance(identifier, salt)) < fraction
    if drawn.all() or not drawn.any():
        raise Problem(f"test_fraction {fraction} of {len(frame)} images leaves none to train or to test on.")
    return frame[~drawn].reset_index(drop=True), frame[drawn].reset_index(drop=True)


def held_out(frame: pd.DataFrame, condition: str) -> "pd.Series[bool]":
    """Which rows have a condition, given as column=value or "none": kept from training to see how the model fares."""
    if condition == NOWHERE:
        return pd.Series(False, index=frame.index)
    column, _, value = condition.partition("=")
    if column not in frame or not value:
        raise Problem(f"hold_out {condition!r}: write column=value, with a column of the contract, or none.")
    found = frame[column].astype(str) == value
    if not found.any() or found.all():
        raise Problem(
            f"hold_out {condition!r} matches {int(found.sum())} of {len(frame)} images: choose another value."
        )
    return found
