"""The scoring script behind the real inference server: right answers, and a 4xx with the reason for bad requests."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_runtime import serving, tracking
from mlops_runtime.collecting import load_collected
from mlops_runtime.commands.serve import running
from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from .test_images import BAD
from {{ cookiecutter.package_name }} import data, images, model, score

PACKAGE = "{{ cookiecutter.package_name }}"


@pytest.fixture(scope="module")
def deployed(fitted: model.Model, tables: Tables, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as it is registered."""
    folder = tmp_path_factory.mktemp("deployed")
    fitted.save(folder / "files")
    serving.request_contract(contract, fitted.inputs).save(folder / "files" / "inputs.yml")
    example = tables[1].frame[fitted.inputs].head(3)
    example = example.assign(image=example["image"].map(images.pack))
    tracking.save_model(folder / "model", folder / "files", PACKAGE, example, fitted.predict(example))
    return folder / "model"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where requests are collected."""
    return tmp_path_factory.mktemp("collected")


@pytest.fixture(scope="module")
def port(deployed: Path, collected: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the model is served."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_COLLECT_TO", str(collected))
        with running(ROOT, PACKAGE, deployed, "1", folder / "server.log", free):
            yield free


def ask(port: int, body: Any, kind: str = "application/json", path: str = "/score") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    content = body if isinstance(body, str | bytes | None) else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, content, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.fixture
def frame(tables: Tables) -> pd.DataFrame:
    """Some test images."""
    return tables[1].frame.head(20)


def test_the_server_answers_what_the_model_predicts(port: int, fitted: model.Model, frame: pd.DataFrame) -> None:
    expected = fitted.predict(frame)[fitted.answers]
    texts = frame["image"].map(images.pack).tolist()
    rows = [{"image": text} for text in texts]
    for body in (rows, {"columns": ["image"], "data": [[text] for text in texts]}):
        status, answer = ask(port, {"input_data": body})
        assert status == 200, answer
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False)


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "IMAGE/JPEG; charset=binary"])
def test_an_image_as_it_is(port: int, fitted: model.Model, frame: pd.DataFrame, kind: str) -> None:
    status, answer = ask(port, frame["image"][0], kind)
    assert status == 200, answer
    assert answer["predictions"][0]["prediction"] == fitted.predict(frame)["prediction"][0]


@pytest.mark.parametrize("name", BAD)
def test_bad_images_are_refused(port: int, name: str) -> None:
    content, reason = BAD[name]
    status, answer = ask(port, content, "image/png")
    assert status == 422, answer
    assert any(reason in said for said in answer["reasons"]), answer
    status, answer = ask(port, {"input_data": [{"image": images.pack(content)}]})
    assert status == 422, answer
    assert "row 0, column image" in answer["message"]


def test_other_media_types_are_refused(port: int) -> None:
    for kind in ("image/gif", "text/plain", "application/x-www-form-urlencoded", ""):  # the last need no leave of ours
        assert ask(port, b"GIF89a", kind)[0] == 415


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"image": None}, "is null"),
        ({"image": "häm"}, "not base64"),
        ({"image": 1}, "base64"),
        ({"picture": ""}, "missing"),
    ],
)
def test_rows_that_break_the_contract_are_refused(port: int, row: dict[str, Any], said: str) -> None:
    status, answer = ask(port, {"input_data": [row]})
    assert status == 422
    assert said in answer["message"]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"input_data": [{"image": NaN}]}', '{"input_data": []}'])
def test_malformed_bodies_are_refused(port: int, body: str) -> None:
    status, answer = ask(port, body)
    assert (status, bool(answer["message"])) == (400, True)


def test_too_much_is_refused(port: int, frame: pd.DataFrame) -> None:
    row = {"image": images.pack(frame["image"][0])}
    assert ask(port, {"input_data": [row] * (score.MAX_IMAGES + 1)})[0] == 413
    assert ask(port, bytes(score.MAX_BYTES + 1), "image/png")[0] == 413


def test_what_monitoring_needs_is_collected(port: int, collected: Path, fitted: model.Model, tables: Tables) -> None:
    before = load_collected(collected, "1")
    frame = tables[2].frame.head(40)
    rows = [
        {"image_id": name, "background": "tiles", "image": images.pack(content)}
        for name, content in zip(frame["image_id"], frame["image"], strict=True)
    ]
    assert ask(port, {"input_data": rows})[0] == 200
    assert ask(port, b"no image", "image/png")[0] == 422
    after = load_collected(collected, "1")
    assert len(after.refused) == len(before.refused) + 1
    new = after.requests.tail(40).set_index("image_id").loc[frame["image_id"]]
    expected = fitted.predict(frame)
    assert set(after.outputs) == set(expected)
    pd.testing.assert_frame_equal(
        new[["brightness", "embedding_0"]].reset_index(drop=True), expected[["brightness", "embedding_0"]]
    )
    looked_at = (expected["confidence"] < 0.9) | (expected["novelty"] > 1)
    assert looked_at.any()
    assert new["image"].notna().tolist() == looked_at.tolist()


def test_the_example_in_swagger_works(port: int) -> None:
    status, swagger = ask(port, None, path="/swagger.json?version=3")
    assert status == 200
    assert ask(port, swagger["components"]["schemas"]["ServiceInput"]["example"])[0] == 200


def test_a_batch_of_files(
    deployed: Path, fitted: model.Model, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(serving.MODEL_DIR, str(deployed.parent))
    score.init()
    (tmp_path / "a.jpg").write_bytes(frame["image"][0])
    frame[1:].to_parquet(tmp_path / "b.parquet")
    found = score.run([str(tmp_path / "a.jpg"), str(tmp_path / "b.parquet")])
    assert found["image_id"].tolist() == ["a.jpg", *frame["image_id"][1:]]
    assert data.IMAGE not in found
    assert found["prediction"].tolist() == fitted.predict(frame)["prediction"].tolist()
    (tmp_path / "c.png").write_bytes(b"nothing")
    with pytest.raises(Problem, match=r"1 image\(s\) cannot be read, the first is 'c.png'"):
        score.run([str(tmp_path / "c.png")])
    frame[["image_id"]].to_parquet(tmp_path / "d.parquet")
    with pytest.raises(ContractError, match="lacks the column image"):
        score.run([str(tmp_path / "d.parquet")])


def test_serving_needs_no_pytorch(deployed: Path) -> None:
    program = (
        "import os, sys; sys.modules['torch'] = None; sys.modules['onnx'] = None;"
        f"os.environ['{serving.MODEL_DIR}'] = {str(deployed)!r};"
        f"from {PACKAGE} import score; score.init(); print(score.fitted.facts.classes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "src", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
