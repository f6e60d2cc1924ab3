"""A scoring script behind the real inference server: every request gets an answer or a 4xx with a reason."""

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import mlops_runtime
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlops_runtime import serving
from mlops_runtime.collecting import AzureCollector, FileCollector, load_collected
from mlops_runtime.commands import serve
from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from . import serving_toy

INPUTS = Contract.model_validate(serving_toy.CONTRACT)
ROW = serving_toy.ROW
AS_JSON: dict[str, Any] = {"content_type": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The toy model behind the real server, and what it collected and logged."""

    def __init__(self, port: int, collected: Path, log: Path) -> None:
        self.port, self.collected, self.log = port, collected, log

    def send(self, body: Any, method: str = "POST", path: str = "/score", **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", **headers}
        connection.request(method, path, body, headers, encode_chunked=hasattr(body, "__next__"))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("served")
    model = serving_toy.write(root)
    port, log, collected = free_port(), root / "server.log", root / "collected"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_COLLECT_TO", str(collected))
        patch.setenv("PYTHONPATH", str(Path(mlops_runtime.__file__).parents[1]))
        with serve.running(root, "toymodel", model, "7", log, port):
            yield Server(port, collected, log)


def rows(*changes: dict[str, Any]) -> str:
    return json.dumps({"input_data": [{**ROW, **change} for change in changes]})


def split(columns: Any, data: Any) -> str:
    return json.dumps({"input_data": {"columns": columns, "data": data}})


def text(name: str, value: str) -> str:
    """A request with one value written as it is."""
    return rows({name: "@"}).replace('"@"', value)


VALUES = list(ROW.values())
REFUSED: dict[str, tuple[int, Any, str]] = {
    "empty": (400, "", "empty"),
    "half": (400, '{"input_data": [', "not valid JSON"),
    "more than one value": (400, rows({}) + "x", "not valid JSON"),
    "form": (400, "x=1.5&kind=a", "not valid JSON"),
    "UTF-16": (400, rows({}).encode("utf-16"), "UTF-8"),
    "Latin-1": (400, b'{"input_data": [{"kind": "\xe9"}]}', "UTF-8"),
    "half a surrogate pair": (400, text("note", '"\\ud83d"'), "UTF-8"),
    "NaN": (400, text("x", "NaN"), "NaN"),
    "Infinity": (400, text("x", "-Infinity"), "null"),
    "key twice": (400, '{"input_data": [], "input_data": []}', "twice"),
    "column twice in a row": (400, '{"input_data": [{"x": 1, "x": 2}]}', "'x' appears twice"),
    "deep": (400, "[" * 50_000, "nested"),
    "deep objects": (400, '{"a":' * 20_000, "nested"),
    "deep inside": (400, '{"input_data": ' + "[" * 45_000 + "]" * 45_000 + "}", "nested"),
    "digits": (400, text("count", "1" * 5000), "digits"),
    "nothing": (400, "null", "input_data"),
    "list": (400, "[1]", "input_data"),
    "other key": (400, '{"data": []}', "input_data"),
    "number": (400, '{"input_data": 1}', "input_data"),
    "no rows": (400, '{"input_data": []}', "no rows"),
    "no data": (400, '{"input_data": {"columns": ["x"]}}', '"data"'),
    "data is text": (400, '{"input_data": {"columns": ["x"], "data": "1"}}', '"data"'),
    "names are lists": (400, split([["x"]] * 7, [VALUES]), "names"),
    "row is a number": (400, '{"input_data": [1]}', "row 0"),
    "second row is a list": (400, json.dumps({"input_data": [ROW, []]}), "row 1"),
    "column missing": (422, split(list(ROW)[1:], [VALUES[1:]]), "missing: when"),
    "column unknown": (422, rows({"colour": "red"}), "unknown: colour"),
    "column named twice": (422, split([*ROW, "x"], [[*VALUES, 1]]), "columns must be"),
    "other columns in row 1": (422, json.dumps({"input_data": [ROW, {"x": 1}]}), "row 1"),
    "short row": (422, split(list(ROW), [VALUES[1:]]), "7 values"),
    "row is text": (422, split(list(ROW), ["abcdefg"]), "row 0"),
    "text for a number": (422, rows({"x": "1.5"}), "column x: must be a number"),
    "true for a number": (422, rows({"x": True}), "column x: must be a number"),
    "list for a number": (422, rows({"x": [1]}), "column x"),
    "beyond float": (422, text("x", "1e999"), "finite"),
    "beyond float, digits": (422, text("free", "9" * 400), "finite"),
    "below": (422, rows({"x": -11}), "below -10"),
    "above, second row": (422, rows({}, {"x": 1001}), "row 1, column x: 1001 is above 1000"),
    "fraction for a count": (422, rows({"count": 2.5}), "whole number"),
    "beyond 64 bits": (422, text("count", "9" * 30), "64 bits"),
    "null": (422, rows({"kind": None}), "is null"),
    "category": (422, rows({"kind": "c"}), "not one of"),
    "long text": (422, rows({"note": "x" * 21}), "21 characters"),
    "no time": (422, rows({"when": "tomorrow"}), "ISO 8601"),
    "number for a time": (422, rows({"when": 1714545000}), "ISO 8601"),
    "time zone": (422, rows({"when": "2024-05-01T06:30:00+02:00"}), "time zone"),
    "ancient": (422, rows({"when": "0001-01-01"}), "between 1678 and 2261"),
    "number for true": (422, rows({"member": 1}), "true or false"),
    "too many rows": (413, split(list(ROW), [VALUES] * 101), "at most 100"),
    "too many bytes": (413, rows({"note": "x" * 200_000}), "100,000 bytes"),
    "far too many bytes": (413, b"[" * 30_000_000, "100,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_gets_a_4xx_with_the_reason(server: Server, case: str) -> None:
    expected, body, reason = REFUSED[case]
    status, answer = server.send(body)
    assert (status, list(answer)) == (expected, ["message", "reasons"])
    assert reason in answer["message"]
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_good_requests_in_both_forms(server: Server) -> None:
    expected = {"doubled": 3.0, "hour": 6, "label": "a"}
    assert server.send(rows({})) == (200, {"predictions": [expected]})
    order = list(reversed(ROW))
    assert server.send(split(order, [[ROW[name] for name in order]] * 2)) == (200, {"predictions": [expected] * 2})
    status, answer = server.send(rows({"x": None, "note": "🙂", "member": False, "row": 4, "when": "2024-05-01"}))
    assert (status, answer["predictions"]) == (200, [{"doubled": 0.0, "hour": 0, "label": "none"}])


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "TEXT/PLAIN"]
)
def test_what_a_page_in_a_browser_can_send_unasked_is_refused(server: Server, kind: str) -> None:
    origin = {"Origin": "https://evil.example", "Host": "127.0.0.1"}
    status, answer = server.send(rows({"row": 99}), **origin, **{"Content-Type": kind})
    assert (status, "send application/json" in answer["message"]) == (415, True)
    kept = [line for file in server.collected.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    assert json.loads(kept[-1])["status"] == 415
    # Of other kinds it must ask first, with OPTIONS; without Access-Control-Allow-Origin the browser stops there.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("OPTIONS", "/score", headers={**origin, "Access-Control-Request-Method": "POST"})
    said = connection.getresponse()
    assert not any(name.lower().startswith("access-control-") for name, _ in said.getheaders())
    assert server.send(rows({}), **{"Content-Type": "Application/JSON; charset=utf-8"})[0] == 200


def test_body_in_pieces_without_length(server: Server) -> None:
    pieces = (piece.encode() for piece in (rows({})[:10], rows({})[10:]))
    assert server.send(pieces, **{"Transfer-Encoding": "chunked"})[0] == 200
    endless = (b"[" * 10_000 for _ in range(100))
    assert server.send(endless, **{"Transfer-Encoding": "chunked"})[0] == 413


def test_other_methods(server: Server) -> None:
    assert server.send(None, "GET")[0] == 405
    assert server.send(rows({}), "PUT")[0] == 405


def test_a_caller_that_hangs_up_does_no_harm(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert server.send(rows({}))[0] == 200


def test_swagger_describes_a_request_that_works(server: Server) -> None:
    for version in ("2", "3", "3.1"):
        status, swagger = server.send(None, "GET", f"/swagger.json?version={version}")
        schemas = swagger["definitions"] if version == "2" else swagger["components"]["schemas"]
        assert status == 200
        assert server.send(json.dumps(schemas["ServiceInput"]["example"]))[0] == 200
        row = schemas["ServiceInput"]["properties"]["input_data"]["items"]
        assert row["required"] == list(ROW)
        assert row["properties"]["kind"] == {"type": "string", "enum": ["a", "b"], "maxLength": 256}
        assert schemas["ServiceOutput"]["properties"]["predictions"]["items"]["properties"]["hour"] == {
            "type": "integer"
        }
    assert server.send(None, "GET", "/swagger.json")[0] == 200


def test_requests_are_collected_with_their_id(server: Server) -> None:
    server.send(rows({"row": 11}, {"row": 12, "x": 2}), **{"x-request-id": "seen"})
    server.send(rows({"x": "no"}), **{"x-request-id": "refused"})
    found = load_collected(server.collected, "7")
    mine = found.requests[found.requests["request_id"] == "seen"]
    assert mine[["row", "x", "doubled"]].to_numpy().tolist() == [[11, 1.5, 3.0], [12, 2, 4.0]]
    assert found.outputs == ["doubled", "hour", "label"]
    assert mine["request_time"].iloc[0] > pd.Timestamp.now("UTC") - pd.Timedelta("1min")
    (refused,) = [record for record in found.refused if record["id"] == "refused"]
    assert refused["status"] == 422


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([*ROW, "input_data"]),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from([*ROW, "data", "columns"]), inner),
    max_leaves=10,
)
REQUESTS = st.one_of(
    JSON.map(lambda value: {"input_data": value}),
    st.lists(st.fixed_dictionaries(dict.fromkeys(ROW, JSON)), max_size=2).map(lambda value: {"input_data": value}),
    st.fixed_dictionaries({"columns": st.just(list(ROW)), "data": st.lists(st.lists(JSON))}).map(
        lambda value: {"input_data": value}
    ),
)


@settings(max_examples=100, deadline=None)
@given(REQUESTS.map(json.dumps).map(str.encode) | st.binary(max_size=40))
def test_no_body_breaks_the_checks(body: bytes) -> None:
    service = serving.Service(INPUTS, lambda columns: columns, 100, 1000, FileCollector(None))
    refusal = None
    try:
        columns, values = serving.read_columns(serving.parse(body), 100)
        service.check(columns, values)
        service.arrays(columns, values)
    except serving.Rejected as error:
        refusal = error
    assert refusal is None or (refusal.status in (400, 413, 422) and refusal.reasons)


def test_a_large_hostile_body_is_refused_quickly() -> None:
    names = ",".join(f'"{number}":0' for number in range(300_000))
    started = time.perf_counter()
    with pytest.raises(serving.Rejected, match="'299999' appears twice"):
        serving.parse(f'{{{names},"299999":0}}'.encode())
    assert time.perf_counter() - started < 5


def test_model_folder_as_azure_lays_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = serving_toy.write(tmp_path)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(model))
    assert serving.model_folder() == model / "data" / "model"
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    assert serving.model_folder() == model / "data" / "model"
    for value, said in ((str(tmp_path / "src"), "No MLflow model"), (str(tmp_path / "gone"), "not a folder")):
        monkeypatch.setenv("AZUREML_MODEL_DIR", value)
        with pytest.raises(Problem, match=said):
            serving.model_folder()
    monkeypatch.delenv("AZUREML_MODEL_DIR")
    with pytest.raises(Problem, match="is not set"):
        serving.model_folder()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_files_are_scored_with_their_own_columns(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame([ROW, {**ROW, "x": None, "note": "größer"}]).assign(extra=[1, 2])
    file, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    serving.write_table(table, file)
    result = serving.score_files([file], INPUTS, lambda rows: pd.DataFrame({"doubled": rows["x"] * 2}))
    serving.write_table(result, output)
    again = serving.read_table(output)
    assert list(again.columns) == [*ROW, "extra", "doubled"]
    assert again["doubled"].fillna(-1).tolist() == [3.0, -1]
    assert again["note"].tolist() == ["hé", "größer"]


def test_files_that_cannot_be_scored(tmp_path: Path) -> None:
    def score(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        serving.score_files([tmp_path / name], INPUTS, lambda rows: pd.DataFrame({"x": rows["x"]}))

    table = pd.DataFrame([ROW])
    with pytest.raises(Problem, match="must end in"):
        score("a.txt", b"")
    with pytest.raises(Problem, match="does not exist"):
        serving.read_table(tmp_path / "gone.csv")
    for name in ("a.parquet", "a.jsonl", "a.csv"):
        with pytest.raises(Problem, match="cannot be read"):
            score(name, b"\xff{")
    with pytest.raises(ContractError, match=r"(?s)column x.*at most 1000.*column kind.*one of"):
        score("b.csv", table.assign(x=1001, kind="z").to_csv(index=False).encode())
    with pytest.raises(ContractError, match="lacks the column kind"):
        score("b.csv", table.drop(columns="kind").to_csv(index=False).encode())
    with pytest.raises(Problem, match="'x' already"):
        score("b.csv", table.to_csv(index=False).encode())


def test_collecting_survives_crashes_and_full_disks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "collected"
    collector = FileCollector(folder)
    collector.served("one", ["x"], [[1]], {"y": [2]})
    (file,) = folder.glob("*.jsonl")
    with file.open("ab") as stream:
        stream.write(b'{"time": "2024-05-01T00:00:00+00:00", "rows": [[')  # the machine went down here
    (folder / "other-version.jsonl").write_text(
        '{"time":"2024-05-01T00:00:00+00:00","version":"9","id":"a","columns":["x"],"rows":[[1],[2]],"outputs":{"y":[1,2]}}\n'
    )
    found = load_collected(folder, "")
    assert (len(found.requests), found.unreadable, found.others) == (1, 1, {"9": 2})
    assert load_collected(tmp_path / "nothing", "").requests.empty

    (tmp_path / "file").write_text("")
    broken = FileCollector(tmp_path / "file")
    for _ in range(3):
        broken.served("one", ["x"], [[1]], {"y": [2]})
    assert len([record for record in caplog.records if "not collected" in record.message]) == 1


def test_only_what_may_be_kept_is_collected(tmp_path: Path) -> None:
    def keep(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        hidden = ["<name>"] * len(columns["note"])
        return columns | {"note": hidden, "label": [text.lower() for text in columns["label"]]}

    def predict(columns: dict[str, Any]) -> dict[str, Any]:
        return {"label": columns["note"]}

    service = serving.Service(INPUTS, predict, 100, 1000, FileCollector(tmp_path), keep)
    with flask.Flask("test").test_request_context(
        method="POST", data=rows({"note": "Anna"}, {"note": "Olga"}), **AS_JSON
    ):
        answer = service.respond(flask.request)
    assert answer == {"predictions": [{"label": "Anna"}, {"label": "Olga"}]}, "the answer itself stays as it is"
    (line,) = (path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    kept = json.loads(line)
    assert [row[kept["columns"].index("note")] for row in kept["rows"]] == ["<name>", "<name>"]
    assert [row[kept["columns"].index("count")] for row in kept["rows"]] == [2, 2]
    assert kept["outputs"] == {"label": ["anna", "olga"]}


def test_a_model_may_refuse(tmp_path: Path) -> None:
    def predict(columns: dict[str, Any]) -> dict[str, Any]:
        raise serving.Rejected(413, "too much work")

    service = serving.Service(INPUTS, predict, 100, 1000, FileCollector(tmp_path))
    with flask.Flask("test").test_request_context(method="POST", data=rows({"note": "Anna"}), **AS_JSON):
        answer = service.respond(flask.request)
    assert (answer.status_code, "too much work" in answer.get_data(as_text=True)) == (413, True)
    assert [one["status"] for one in load_collected(tmp_path, "").refused] == [413]


def test_lines_of_many_writers_stay_whole(tmp_path: Path) -> None:
    collector = FileCollector(tmp_path)

    def write() -> None:
        for number in range(200):
            collector.served(str(number), ["x"], [["long" * 500]], {"y": [number]})

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = load_collected(tmp_path, "")
    assert (len(found.requests), found.unreadable) == (800, 0)


@pytest.fixture
def azure_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[dict[str, Any]]]]:
    """A stand-in for the collector that runs beside an Azure ML deployment; gives what it received."""
    received: list[dict[str, Any]] = []

    class Sidecar(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"headers": dict(self.headers), "rows": json.loads(body)})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    sidecar = http.server.HTTPServer(("127.0.0.1", 0), Sidecar)
    threading.Thread(target=sidecar.serve_forever, daemon=True).start()
    on = {"enabled": True, "sampleRatePercentage": 100}
    (tmp_path / "mdc.json").write_text(json.dumps({"collections": {"model_inputs": on, "model_outputs": on}}))
    monkeypatch.setenv("AZUREML_MDC_CONFIG_PATH", str(tmp_path / "mdc.json"))
    monkeypatch.setenv("AZUREML_MDC_PORT", str(sidecar.server_port))

    def wait_for(count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 10
        while len(received) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return received

    yield wait_for
    sidecar.shutdown()
    from azureml.ai.monitoring.init import teardown

    teardown()


def test_azure_collector_correlates_inputs_and_outputs(
    azure_collector: Callable[[int], list[dict[str, Any]]],
) -> None:
    service = serving.Service(INPUTS, lambda columns: columns, 100, 1000)
    assert isinstance(service.collector, AzureCollector)
    huge = 10**300  # a number that no 64-bit integer holds once broke the SDK's sender for good
    for number in ("first", "second"):
        service.collector.served(number, list(ROW), [[*VALUES[:-1], huge]], {"doubled": [3.0]})
    received = azure_collector(4)
    kinds = [(one["headers"]["ce-type"], one["headers"]["ce-x-request-id"]) for one in received]
    names = ["azureml.inference.model_inputs", "azureml.inference.model_outputs"]
    assert kinds == [(name, number) for number in ("first", "second") for name in names]
    assert received[0]["rows"] == [{**ROW, "count": 2.0, "free": 1e300}]
    assert received[1]["rows"] == [{"doubled": 3.0}]


def test_no_server_without_its_parent(tmp_path: Path) -> None:
    """The server ends although its parent was killed and could not stop it."""
    model, port = serving_toy.write(tmp_path), free_port()
    code = (
        "import sys, pathlib\nfrom mlops_runtime.commands import serve\n"
        "root, model, port = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])\n"
        "with serve.running(root, 'toymodel', model, '1', root / 'server.log', port) as server:\n"
        "    print('ready', flush=True)\n    server.wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(mlops_runtime.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(tmp_path), str(model), str(port)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n", (tmp_path / "server.log").read_text(encoding="utf-8")
    parent.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    parent.wait(10)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.1)
    pytest.fail("the server is still there")


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = serving_toy.write(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(mlops_runtime.__file__).parents[1]))
    (tmp_path / "src/toymodel/model.py").write_text("raise RuntimeError('the model is broken')")
    with (
        pytest.raises(Problem, match="the model is broken"),
        serve.running(tmp_path, "toymodel", model, "1", tmp_path / "server.log", free_port()),
    ):
        pytest.fail("it started")


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Problem, match=r"Cannot listen on 127\.0\.0\.1:\d+ .*--port"):
            serve.check_free("127.0.0.1", other.getsockname()[1])
