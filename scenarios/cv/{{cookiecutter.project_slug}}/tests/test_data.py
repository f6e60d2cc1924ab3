"""Images are read from Parquet and from folders, faults are named, and the split is for good."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import annotations, data, masks, synthetic
from {{ cookiecutter.package_name }}.prepare import prepare


@pytest.fixture
def frame(raw: Path) -> pd.DataFrame:
    """The images of `raw`."""
    return pd.read_parquet(raw / "images.parquet")


def test_sample_keeps_the_contract(contract: Contract) -> None:
    loaded = data.load(ROOT / "data" / "images", contract)
    assert list(loaded.columns) == list(contract.columns)
    assert loaded["label"].notna().all()
    for text in loaded["annotations"].head(50):
        (region,) = masks.load(text)
        assert 20 < region.mask.sum() < 700


def test_generator_is_seeded() -> None:
    first, again, other = (synthetic.make(20, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["image"].equals(other["image"])


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("image_id", None, "must not be null"),
        ("label", "hexagon", "one of"),
        ("image", "not bytes", "bytes"),
        ("captured_at", "soon", "type"),
    ],
)
def test_fault_is_named(
    column: str, value: object, rule: str, frame: pd.DataFrame, contract: Contract, tmp_path: Path
) -> None:
    values = frame[column].astype(object).copy()
    values.iloc[0] = value
    broken = frame.assign(**{column: values})
    if column in ("image", "captured_at"):  # Parquet columns have one type
        broken[column] = broken[column].map(lambda one: one if isinstance(one, str) else str(one))
    broken.to_parquet(tmp_path / "broken.parquet")
    with pytest.raises(ContractError) as caught:
        data.load(tmp_path / "broken.parquet", contract)
    assert any(column in line and rule in line for line in str(caught.value).splitlines()), str(caught.value)


def test_bad_images_are_named(frame: pd.DataFrame, contract: Contract, tmp_path: Path) -> None:
    content = frame["image"].tolist()
    content[3], content[5] = content[3][:200], b"GIF89a nothing"
    frame.assign(image=content).to_parquet(tmp_path / "broken.parquet")
    with pytest.raises(Problem, match="2 bad image") as caught:
        data.load(tmp_path / "broken.parquet", contract)
    assert all(str(frame["image_id"][row]) in str(caught.value) for row in (3, 5))


def test_masks_that_do_not_fit_are_named(frame: pd.DataFrame, contract: Contract, tmp_path: Path) -> None:
    texts = frame["annotations"].tolist()
    texts[2] = masks.dump([masks.Region("star", np.ones((2, 2), dtype=bool))])
    texts[4] = masks.dump([masks.Region("hexagon", np.ones((32, 32), dtype=bool))])
    texts[6] = "nothing"
    frame.assign(annotations=texts).to_parquet(tmp_path / "broken.parquet")
    with pytest.raises(Problem, match="3 bad image") as caught:
        data.load(tmp_path / "broken.parquet", contract)
    for said in ("2 × 2 pixels, the image 32 × 32", "'hexagon' of a mask", str(frame["image_id"][6])):
        assert said in str(caught.value)


def test_the_same_image_in_two_files_is_refused(raw: Path, contract: Contract, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        shutil.copy(raw / "images.parquet", tmp_path / name)
    with pytest.raises(Problem, match=r"is in a\.parquet and in b\.parquet"):
        data.load(tmp_path, contract)


def test_a_label_that_comes_later_counts(raw: Path, contract: Contract, tmp_path: Path) -> None:
    frame = pd.read_parquet(raw / "images.parquet")
    waiting = frame.assign(label=frame["label"].mask(frame.index < 9), annotations=None)
    waiting.to_parquet(tmp_path / "images.parquet")
    frame.head(9).to_parquet(tmp_path / "labelled-001.parquet")
    loaded = data.load(tmp_path, contract)
    assert loaded.set_index("image_id")["label"].to_dict() == frame.set_index("image_id")["label"].to_dict()


@pytest.mark.parametrize("kind", ["coco", "azureml"])
def test_a_folder_of_images(kind: str, frame: pd.DataFrame, contract: Contract, tmp_path: Path) -> None:
    rows = frame.head(120)
    items = []
    for row in rows.to_dict(orient="records"):
        name = f"some/{row['image_id']}.jpg"
        (tmp_path / "some").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(row["image"])
        items.append(annotations.Item(name, 32, 32, row["label"], masks.load(row["annotations"])))
    text = annotations.WRITERS[kind](items)
    (tmp_path / f"labels{annotations.SUFFIXES[kind]}").write_text(text, encoding="utf-8")
    loaded = data.load(tmp_path, contract)
    expected = rows.set_index(rows["image_id"].map("some/{}.jpg".format))
    pd.testing.assert_series_equal(loaded.set_index("image_id")["label"], expected["label"], check_names=False)
    for name, regions in zip(loaded["image_id"], loaded["annotations"], strict=True):
        assert masks.load(regions) == masks.load(expected["annotations"][name])
    (tmp_path / items[0].image_id).unlink()
    with pytest.raises(Problem, match=f"{items[0].image_id}: there is no such file"):
        data.load(tmp_path, contract)


def test_a_folder_without_annotations_is_refused(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="one annotation file"):
        data.load(tmp_path, contract)


def test_other_kinds_of_file_are_refused(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="neither a folder nor a Parquet"):
        data.load(tmp_path / "images.zip", contract)


def test_split_is_for_good(frame: pd.DataFrame) -> None:
    _, test = data.split(frame, 0.3, "test")
    assert len(test) == pytest.approx(0.3 * len(frame), rel=0.2)
    _, fewer = data.split(frame.iloc[::2], 0.3, "test")
    assert set(fewer["image_id"]) == set(test["image_id"]) & set(frame["image_id"].iloc[::2])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 25.0])
def test_senseless_test_fraction_is_refused(fraction: float, frame: pd.DataFrame) -> None:
    with pytest.raises(Problem, match="between 0 and 1"):
        data.split(frame, fraction, "test")


def test_held_out_condition_is_kept_from_training(tables: Tables) -> None:
    train, test, hard = (table.frame for table in tables)
    assert set(hard["background"]) == {"tiles"}
    assert "tiles" not in {*train["background"], *test["background"]}
    assert not set(train["image_id"]) & set(test["image_id"])


@pytest.mark.parametrize("condition", ["background=sky", "weather=rain", "tiles"])
def test_senseless_condition_is_refused(condition: str, frame: pd.DataFrame) -> None:
    with pytest.raises(Problem, match="hold_out"):
        data.held_out(frame, condition)


def test_images_without_a_label_wait(
    raw: Path, contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_parquet(raw / "images.parquet")
    missing = frame.index < 50
    frame.assign(label=frame["label"].mask(missing), annotations=frame["annotations"].mask(missing)).to_parquet(
        tmp_path / "some.parquet"
    )
    parts = prepare(tmp_path, contract, 0.3, "none")
    assert sum(len(table.frame) for table in parts) == len(frame) - 50
    assert "50 images" in capsys.readouterr().out


def test_table_survives_saving(tables: Tables, tmp_path: Path) -> None:
    tables[0].save(tmp_path)
    again = data.Table.load(tmp_path)
    pd.testing.assert_frame_equal(again.frame, tables[0].frame)
    assert (again.contract, again.version) == (tables[0].contract, tables[0].version)
