"""Ask the scoring script of a generated project, with its registered model, what nobody should ask.

    python fuzz_score.py REQUESTS   # in the project; prints how many got each status

Valid requests are changed in any way that Hypothesis thinks of, as JSON and as bytes. An answer is 200 or a 4xx with
reasons in JSON; anything else, an exception above all, ends with a traceback.
"""

import collections
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask, g, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlops_runtime import config, serving, tracking

seen: collections.Counter[int] = collections.Counter()
project = config.load().project
folder = tracking.fetch(serving.choose(project.name, None))
collected = Path(tempfile.mkdtemp())
os.environ[serving.MODEL_DIR] = str(folder)
os.environ["MLOPS_COLLECT_TO"] = str(collected)
script: Any = importlib.import_module(f"{project.package}.score")
script.init()
app = Flask("fuzz")
example: dict[str, Any] = json.loads(json.dumps(serving.example_rows(folder)[0], default=str))
VALID = json.dumps({"input_data": [example]}).encode()
ODD = ["", "nan", "1e400", "\x00", "\ud800", "2013-02-30T25:61:00Z", "A" * 100_000, 10**400, -1, 2**63]

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.sampled_from(ODD))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)
changed = st.fixed_dictionaries({}, optional=dict.fromkeys(example, values)).map(lambda row: example | row)
partial = st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in example.items()})
more = st.dictionaries(st.text(max_size=8), values, max_size=2).map(lambda row: example | row)
rows = st.one_of(st.just(example), changed, partial, more)
bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda value: json.dumps(value).encode()),
    st.lists(rows, max_size=3).map(lambda found: json.dumps({"input_data": found}).encode()),
    values.map(lambda value: json.dumps({"input_data": value}).encode()),
    st.builds(lambda end, put: VALID[:end] + put, st.integers(0, len(VALID)), st.binary(max_size=8)),
)
types = st.sampled_from(["application/json"] * 6 + ["text/csv", "image/png", "image/jpeg", ""])


@settings(
    max_examples=int(sys.argv[1]),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(body=bodies, kind=types, method=st.sampled_from(["POST"] * 9 + ["PUT"]))
def ask(body: bytes, kind: str, method: str) -> None:
    with app.test_request_context("/score", method=method, data=body, content_type=kind or None):
        g.request_id = "fuzz"
        answer = script.run(request)
    if isinstance(answer, dict):
        seen[200] += 1
        json.dumps(answer, allow_nan=False)
        return
    seen[answer.status_code] += 1
    assert 400 <= answer.status_code < 500, (body, answer.status_code)
    assert json.loads(answer.get_data())["reasons"]


ask()
kept = [line for path in collected.glob("*.jsonl") for line in path.read_text().splitlines()]
assert len(kept) == sum(seen.values()), "every request is collected, whatever became of it"
print(json.dumps(seen))
