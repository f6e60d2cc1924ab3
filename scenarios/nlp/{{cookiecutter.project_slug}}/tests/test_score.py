"""The scoring script behind the real inference server: right answers, and a 4xx with the reason for bad requests."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import serving, tracking
from mlops_runtime.collecting import load_collected
from mlops_runtime.commands.serve import running
from mlops_runtime.contract import Contract, ContractError

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import model, score

PACKAGE = "{{ cookiecutter.package_name }}"


@pytest.fixture(scope="module")
def deployed(fitted: model.Model, tables: Tables, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as it is registered."""
    folder = tmp_path_factory.mktemp("deployed")
    fitted.save(folder / "files")
    serving.request_contract(contract, fitted.inputs).save(folder / "files" / "inputs.yml")
    example = tables[1].inputs.head(20)
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


def ask(port: int, body: Any, path: str = "/score") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    text = body if isinstance(body, str | bytes | None) else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_the_server_answers_what_the_model_predicts(port: int, fitted: model.Model, tables: Tables) -> None:
    texts = tables[1].inputs.head(80)
    expected = fitted.predict(texts)
    for body in (texts.to_dict(orient="records"), {"columns": ["text"], "data": texts.to_numpy().tolist()}):
        status, answer = ask(port, {"input_data": body})
        assert status == 200, answer
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False)


def test_requests_are_collected(port: int, collected: Path) -> None:
    before = load_collected(collected, "1")
    sent = [{"text": "Where is my parcel?", "ticket_id": 5, "language": "en", "channel": "app"}, {"text": ""}]
    for row in sent:
        ask(port, {"input_data": [row]})
    after = load_collected(collected, "1")
    assert len(after.requests) == len(before.requests) + 1
    assert len(after.refused) == len(before.refused) + 1
    assert after.requests["language"].iloc[-1] == "en"


def test_contact_data_are_not_collected(port: int, collected: Path) -> None:
    text = "Where is my parcel? Write to anna.berg@example.com or call +49 30 1234567."
    assert ask(port, {"input_data": [{"text": text}]})[0] == 200
    kept = "".join(path.read_text(encoding="utf-8") for path in collected.glob("*.jsonl"))
    assert "Where is my parcel? Write to <email> or call <phone>." in kept
    assert "example.com" not in kept
    assert "1234567" not in kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "text: needs at least 3 characters"),
        (" \n\t ", "text: needs at least 3 characters"),
        (None, "text: is null"),
        (12345, "text: must be text, not a number"),
        (["Where is my parcel?"], "text: must be text, not a list"),
        ("a" * 4001, "text: has 4001 characters, at most 4000"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(port: int, text: object, said: str) -> None:
    status, answer = ask(port, {"input_data": [{"text": text}]})
    assert status == 422
    assert said in answer["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"input_data": []}',
        '{"input_data": [{"text": "Grüße"}]}'.encode("latin-1"),
        b'{"input_data": [{"text": "\\ud800"}]}',
        b'{"input_data": "Where is my parcel?"}',
    ],
)
def test_malformed_bodies_are_refused(port: int, body: bytes) -> None:
    status, answer = ask(port, body)
    assert (status, bool(answer["message"])) == (400, True)


def test_too_much_at_once_is_refused(port: int) -> None:
    assert ask(port, {"input_data": [{"text": "Where is it?"}] * (score.MAX_ROWS + 1)})[0] == 413
    assert ask(port, {"input_data": [{"text": "a" * score.MAX_BYTES}]})[0] == 413
    status, answer = ask(port, {"input_data": [{"text": "a" * 4000}] * (score.MAX_CHARACTERS // 4000 + 1)})
    assert status == 413
    assert "204,000 characters are too many" in answer["message"]


def test_a_request_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Slow:
        def predict_columns(self, columns: dict[str, Any]) -> dict[str, Any]:
            asked.append(len(columns["text"]))
            time.sleep(0.1)
            return columns

    monkeypatch.setattr(score, "fitted", Slow(), raising=False)
    texts = np.array(["Where is it?"] * (2 * score.BATCH + 1), dtype=object)
    assert score.predict({"text": texts})["text"].tolist() == texts.tolist()
    monkeypatch.setattr(score, "MAX_SECONDS", 0.01)
    with pytest.raises(serving.Rejected, match=r"longer than 0\.01 seconds"):
        score.predict({"text": texts})
    assert asked == [score.BATCH, score.BATCH, 1, score.BATCH]


@pytest.mark.parametrize("text", ["你好，我的包裹在哪里？", "\x00\x00\x00", "😀😀😀", "a" * 4000, "¿¿¿ ??? !!!"])
def test_odd_texts_are_answered(port: int, text: str) -> None:
    assert ask(port, {"input_data": [{"text": text}]})[0] == 200


def test_the_example_in_swagger_works(port: int) -> None:
    status, swagger = ask(port, None, "/swagger.json?version=3")
    assert status == 200
    assert ask(port, swagger["components"]["schemas"]["ServiceInput"]["example"])[0] == 200


def test_a_batch_of_files(
    deployed: Path, fitted: model.Model, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(serving.MODEL_DIR, str(deployed.parent))
    score.init()
    frame = tables[1].frame
    frame.head(10).to_csv(tmp_path / "a.csv", index=False)
    frame[10:30].to_json(tmp_path / "b.jsonl", orient="records", lines=True, force_ascii=False)
    found = score.run([str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl")])
    expected = fitted.predict(frame.head(30))
    assert found["ticket_id"].tolist() == frame["ticket_id"].head(30).tolist()
    pd.testing.assert_frame_equal(found[list(expected)], expected)
    frame.head(3).assign(text=" ").to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(ContractError, match="column text: must"):
        score.run([str(tmp_path / "c.csv")])
