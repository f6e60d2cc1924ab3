"""Images go to people and come back as training data."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import cli
from mlops_runtime.commands import label
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import annotations, answers, data, embeddings, images, labelling, masks, model, review
from {{cookiecutter.package_name}}.prepare import prepare


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
    chosen = labelling.export(scored, tmp_path, kind, 12, contract)
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


def test_the_next_training_has_what_people_said(
    scored: pd.DataFrame,
    contract: Contract,
    raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the review file of monitoring through Label Studio, where one image stays without an answer."""
    for name in ("config", "mlops", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data" / "images").mkdir(parents=True)
    shutil.copy(ROOT / "data" / "contract.yml", tmp_path / "data")
    known = pd.read_parquet(raw / "images.parquet")
    known = known[~known["image_id"].isin(scored["image_id"])].head(150)
    known.to_parquet(tmp_path / "data" / "images" / "images.parquet")
    (tmp_path / ".mlops" / "monitor").mkdir(parents=True)
    review.find(scored).to_parquet(tmp_path / ".mlops" / "monitor" / "review.parquet")
    monkeypatch.chdir(tmp_path)
    first = prepare(tmp_path / "data" / "images", contract, 0.3, "none")

    options = ["--format", "label-studio"]
    assert cli.main(["label", "export", *options, "--count", "5"]) == 0
    interface = ElementTree.parse(tmp_path / ".mlops" / "label" / "to-label.xml").getroot()
    assert [one.get("value") for one in interface[1]] == data.classes(contract)
    shown: list[Any] = json.loads((tmp_path / ".mlops" / "label" / "to-label.json").read_text(encoding="utf-8"))
    for task in shown:
        (suggestion,) = task["predictions"]
        names = [(one["from_name"], one["to_name"]) for one in suggestion["result"]]
        assert set(names) <= {(interface[1].get("name"), interface[0].get("name"))}
        (said,) = annotations.from_label_studio(json.dumps([{**task, "annotations": [suggestion]}])).items
        answer = scored.set_index("image_id")["prediction"][said.image_id]
        assert answer == (said.label if said.regions is None else masks.dump(said.regions))

    done = json.loads(labelled("label-studio", tmp_path / ".mlops" / "label", truths(raw)))
    done[0] = {**shown[0], "annotations": []}  # nobody has answered, so what the model says is no label
    (tmp_path / "back.json").write_text(json.dumps(done), encoding="utf-8")
    assert cli.main(["label", "import", str(tmp_path / "back.json"), *options]) == 1
    printed = capsys.readouterr().out
    assert "4 label" in printed
    assert printed.count("it has no label") == 1

    second = prepare(tmp_path / "data" / "images", contract, 0.3, "none")
    assert second[0].version != first[0].version
    before, after = (pd.concat([part.frame for part in parts]).set_index("image_id") for parts in (first, second))
    new = after.loc[after.index.difference(before.index), answers.TARGET]
    people = pd.read_parquet(raw / "images.parquet").set_index("image_id")[answers.TARGET]
    assert new.to_dict() == {task["data"]["image_id"]: people[task["data"]["image_id"]] for task in done[1:]}


def test_a_second_export_replaces_the_first(scored: pd.DataFrame, contract: Contract, tmp_path: Path) -> None:
    labelling.export(scored, tmp_path, "coco", 8, contract)
    (tmp_path / "notes.txt").write_text("by a person", encoding="utf-8")
    labelling.export(scored, tmp_path, "label-studio", 2, contract)
    again = labelling.export(scored, tmp_path, "azureml", 3, contract)
    names = {labelling.file_name(*row) for row in zip(again["image_id"], again["image"], strict=True)}
    assert {path.name for path in (tmp_path / "images").iterdir()} == names
    assert {path.name for path in tmp_path.iterdir()} == {"images", "chosen.parquet", "to-label.jsonl", "notes.txt"}


def test_what_is_wrong_is_said(scored: pd.DataFrame, contract: Contract, raw: Path, tmp_path: Path) -> None:
    chosen = labelling.export(scored, tmp_path, "label-studio", 3, contract)
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
    assert f"{third}: it has no label" in faults
    assert "stranger: it is not one of the exported images" in faults


def test_senseless_exports_are_refused(scored: pd.DataFrame, contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="at least 1"):
        labelling.export(scored, tmp_path, "coco", 0, contract)
    with pytest.raises(Problem, match="no column image_id"):
        labelling.export(scored.drop(columns="image_id"), tmp_path, "coco", 1, contract)
    with pytest.raises(Problem, match="no image to label"):
        labelling.export(scored.assign(confidence=0.99, novelty=0.0), tmp_path, "coco", 1, contract)
    with pytest.raises(Problem, match="holds no export"):
        labelling.take(tmp_path / "x", "coco", tmp_path / "nowhere", tmp_path)
