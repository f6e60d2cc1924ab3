"""Put what an attacker would into every file of a project's registered model, and load it: nothing of it may run.

Run it with a project's own Python, in the project. It prints, as JSON, what became of each try: "refused" or "ignored".
"""

import importlib
import io
import json
import os
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mlops_runtime import config, serving, tracking
from mlops_runtime.contract import Contract

scratch = Path(tempfile.mkdtemp())
marker = scratch / "executed"
secret = scratch / "secret"
secret.write_bytes(bytes(10**6))
project = config.load().project
registered = tracking.fetch(serving.choose(project.name, None))
model: Any = importlib.import_module(f"{project.package}.model")


class Attack:
    """Runs code of the attacker's choice when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(marker),)


PICKLE = pickle.dumps(Attack())
YAML = f'!!python/object/apply:os.mkdir ["{marker.as_posix()}"]\n'.encode()
PYTHON = f"import os\nos.mkdir({str(marker)!r})\n".encode()


def attacks(file: Path) -> Iterator[tuple[str, bytes]]:
    """What to put in the place of a file of the model."""
    yield "a pickle", PICKLE
    if file.suffix == ".yml":
        yield "a YAML tag that makes an object", YAML
    if file.suffix == ".json":
        facts = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(facts, dict) and "family" in facts:
            yield "a family that names a function", json.dumps(facts | {"family": "os:mkdir"}).encode()
            yield "a family that is a path", json.dumps(facts | {"family": f"../../{marker.name}"}).encode()
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            names = list(arrays)
        for name in names:
            yield f"a pickle as the array {name}", archive(file, lambda one, name=name: one == f"{name}.npy")
    if file.suffix == ".skops":
        import skops.io

        yield "a function", skops.io.dumps({"pipeline": os.mkdir})
        yield "a pickle as the schema", archive(file, lambda one: one == "schema.json", PICKLE)
        text = zipfile.ZipFile(file).read("schema.json").decode()
        found = json.loads(text) | {"__class__": "mkdir", "__module__": os.mkdir.__module__}
        yield "another class", archive(file, lambda one: one == "schema.json", json.dumps(found).encode())
    if file.suffix == ".onnx":
        for place in (str(secret), os.path.relpath(secret)):
            yield f"weights that are in {place}", elsewhere(file, place)


def archive(file: Path, which: Callable[[str], bool], content: bytes | None = None) -> bytes:
    """The zip archive with other content in some members; None: an array of objects, which NumPy pickles."""
    if content is None:
        array = io.BytesIO()
        np.save(array, np.array([Attack()], dtype=object), allow_pickle=True)
        content = array.getvalue()
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if which(name) else old.read(name))
        new.writestr(f"../../{marker.name}", b"unpacked above its folder")
    return made.getvalue()


def elsewhere(file: Path, place: str) -> bytes:
    """The ONNX graph with the first of its weights in another file."""
    import onnx

    graph = onnx.load(file, load_external_data=False)
    weights = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    size = len(weights.raw_data)
    assert 0 < size <= secret.stat().st_size
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": place, "offset": "0", "length": str(size)}.items():
        weights.external_data.add(key=key, value=value)
    return bytes(graph.SerializeToString())


def load(folder: Path) -> None:
    """What `mlops serve` and every deployment do with a model."""
    os.environ[serving.MODEL_DIR] = str(folder)
    data = serving.model_folder()
    model.load(data)
    Contract.load(data / "inputs.yml")
    serving.example_rows(folder)


def attempt(name: str, content: bytes) -> str:
    """Load a copy of the model in which a file has this content; "refused", or "ignored" when it loads all the same."""
    folder = scratch / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(registered, folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    try:
        load(folder)
        outcome = "ignored"
    except Exception:
        outcome = "refused"
    assert not marker.exists(), f"{name}: what the attacker wanted was done"
    return outcome


# Each payload does what it says where nobody takes care; and the model loads as it is.
for run in (lambda: pickle.loads(PICKLE), lambda: yaml.unsafe_load(YAML), lambda: exec(PYTHON)):
    run()
    marker.rmdir()
load(registered)

results: dict[str, str] = {}
for path in sorted(tracking.model_data(registered).rglob("*")):
    name = path.relative_to(registered).as_posix()
    for what, content in attacks(path):
        results[f"{name}: {what}"] = attempt(name, content)
results["input_example.json: a pickle"] = attempt("input_example.json", PICKLE)
hostile = {"loader_module": "code.evil", "code": "../../..", "data": str(secret), "python_model": "python_model.pkl"}
MLMODEL = yaml.safe_dump({"artifact_path": "../../..", "flavors": {"python_function": hostile}}).encode()
for name, content in {
    "MLmodel": MLMODEL,
    "python_model.pkl": PICKLE,
    "data/model/model.pkl": PICKLE,
    "data/model/pipeline.joblib": PICKLE,
    "data/model/__init__.py": PYTHON,
    f"code/{project.package}/model.py": PYTHON,
    "code/sitecustomize.py": PYTHON,
}.items():
    results[f"{name}: more than there was"] = attempt(name, content)

os.environ[tracking.DIGEST] = tracking.digest(tracking.model_data(registered))
load(registered)
results["with the digest that was recorded"] = attempt("data/model/model.pkl", PICKLE)
shutil.rmtree(scratch)
print(json.dumps(results))
