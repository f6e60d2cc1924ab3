"""Images go to people and come back as training data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.commands import label
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from .conftest import Tables
from {{ cookiecutter.package_name }} import annotations, answers, data, embeddings, images, labelling, masks, model, review


@pytest.fixture(scope="module")
def scored(fitted: model.Model, tables: Tables) -> pd.DataFrame:
    """Images with the model's outputs."""
    return tables[2].frame.join(fitted.predict(tables[2].frame))


def test_the_unsure_and_the_strange_are_found(scored: pd.DataFrame) -> None:
    sure = scored.assign(confidence=0.99, novelty=0.5)
    assert review.find(sure).empty
    some = sure.copy()
    some.loc[3, "confidence"], some.loc[5, "novelty"], some.loc[7, "prediction"] = 0.4, 3.0, None
    found = review.find(some, pd.Series(some.index == 9))
    reasons = dict(zip(found["image_id"], found["reason"], strict=True))
    expected = {3: "unsure", 5: "unlike the training images", 7: "unreadable", 9: "wrong"}
    assert reasons == {some["image_id"][row]: reason for row, reason in expected.items()}
    assert found["urgency"].is_monotonic_decreasing


def test_chosen_images_differ() -> None:
    generator = np.random.default_rng(0)
    places = generator.normal(0, 0.01, (90, embeddings.PARTS))
    places[30:60, 0] += 5
    places[60:, 1] += 5
    rows = pd.DataFrame(places, columns=embeddings.NAMES).assign(urgency=1.0, group=np.arange(90) // 30)
    assert set(review.choose(rows, 3)["group"]) == {0, 1, 2}
    rows.loc[rows["group"] == 2, "urgency"] = 0.0
    assert set(review.choose(rows, 2)["group"]) == {0, 1}
    assert len(review.choose(rows, 500)) == 90


def truths(raw: Path) -> dict[str, dict[str, Any]]:
    """What people would say of each image: the arguments of `Item`."""
    frame = pd.read_parquet(raw / "images.parquet")
    regions = answers.TARGET == data.REGIONS
    return {
        row["image_id"]: {"label": row["label"], "regions": masks.load(row["annotations"]) if regions else None}
        for row in frame.to_dict(orient="records")
    }


def labelled(kind: str, folder: Path, truth: dict[str, dict[str, Any]]) -> str:
    """What the labelling tool would give back, had people labelled every image."""
    items = annotations.READERS[kind]((folder / labelling.file(kind)).read_text(encoding="utf-8")).items
    chosen = pd.read_parquet(folder / labelling.CHOSEN)
    names = {
        f"images/{labelling.file_name(name, content)}": name
        for name, content in zip(chosen["image_id"], chosen["image"], strict=True)
    }
    return annotations.WRITERS[kind](
        [
            annotations.Item(one.image_id, one.width, one.height, **truth[names.get(one.image_id, one.image_id)])
            for one in items
        ]
    )


@pytest.mark.parametrize("kind", annotations.WRITERS)
def test_there_and_back(kind: str, scored: pd.DataFrame, contract: Contract, raw: Path, tmp_path: Path) -> None:
    chosen = labelling.export(scored, tmp_path, kind, 12)
    assert len(chosen) == 12 == len(list((tmp_path / "images").iterdir()))
    truth = truths(raw)
    (tmp_path / "back").write_text(labelled(kind, tmp_path, truth), encoding="utf-8")
    added, faults = labelling.take(tmp_path / "back", kind, tmp_path, tmp_path / "data")
    assert not faults
    assert sorted(added["image_id"]) == sorted(chosen["image_id"])
    for row in added.to_dict(orient="records"):
        assert row["label"] == truth[row["image_id"]]["label"]
        regions = truth[row["image_id"]]["regions"]
        assert row["annotations"] == (masks.dump(regions) if regions is not None else None)
    assert set(added["image"]) <= set(scored["image"])

    folder = tmp_path / "data"
    folder.mkdir()
    everything = pd.read_parquet(raw / "images.parquet")
    everything[~everything["image_id"].isin(added["image_id"])].to_parquet(folder / "images.parquet")
    before = data.version(folder)
    added.to_parquet(label.free_name(folder))
    assert data.version(folder) != before
    assert len(data.load(folder, contract)) == len(everything)
    assert label.free_name(folder).name == "labelled-002.parquet"
    again, faults = labelling.take(tmp_path / "back", kind, tmp_path, folder)
    assert again.empty
    assert all(f"it has {answers.TARGET} already, in labelled-001.parquet" in fault for fault in faults)


def test_a_second_export_replaces_the_first(scored: pd.DataFrame, tmp_path: Path) -> None:
    labelling.export(scored, tmp_path, "coco", 8)
    (tmp_path / "notes.txt").write_text("by a person", encoding="utf-8")
    again = labelling.export(scored, tmp_path, "azureml", 3)
    names = {labelling.file_name(*row) for row in zip(again["image_id"], again["image"], strict=True)}
    assert {path.name for path in (tmp_path / "images").iterdir()} == names
    assert {path.name for path in tmp_path.iterdir()} == {"images", "chosen.parquet", "to-label.jsonl", "notes.txt"}


def test_what_is_wrong_is_said(scored: pd.DataFrame, raw: Path, tmp_path: Path) -> None:
    chosen = labelling.export(scored, tmp_path, "label-studio", 3)
    tasks: list[Any] = json.loads((tmp_path / "to-label.json").read_text(encoding="utf-8"))
    assert images.unpack(tasks[0]["data"]["image"].partition(",")[2]) == chosen["image"][0]
    truth = truths(raw)
    done: list[Any] = json.loads(labelled("label-studio", tmp_path, truth))
    others = [one for one in truth.values() if one["label"] != truth[chosen["image_id"][1]]["label"]]
    other = json.loads(annotations.to_label_studio([annotations.Item("", 32, 32, **others[0])]))[0]
    done[1]["annotations"] += other["annotations"]
    done[2]["annotations"] = []
    stranger = {**done[0], "data": {**done[0]["data"], "image_id": "stranger"}}
    (tmp_path / "back.json").write_text(json.dumps([*done, stranger]), encoding="utf-8")
    added, faults = labelling.take(tmp_path / "back.json", "label-studio", tmp_path, tmp_path / "data")
    first, second, third = chosen["image_id"]
    assert added["image_id"].tolist() == [first]
    assert any(fault.startswith(f"{second}: it") and ("conflict" in fault or "differ" in fault) for fault in faults)
    assert f"{third}: it has no {answers.TARGET}" in faults
    assert "stranger: it is not one of the exported images" in faults


def test_senseless_exports_are_refused(scored: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="at least 1"):
        labelling.export(scored, tmp_path, "coco", 0)
    with pytest.raises(Problem, match="no column image_id"):
        labelling.export(scored.drop(columns="image_id"), tmp_path, "coco", 1)
    with pytest.raises(Problem, match="no image to label"):
        labelling.export(scored.assign(confidence=0.99, novelty=0.0), tmp_path, "coco", 1)
    with pytest.raises(Problem, match="holds no export"):
        labelling.take(tmp_path / "x", "coco", tmp_path / "nowhere", tmp_path)
