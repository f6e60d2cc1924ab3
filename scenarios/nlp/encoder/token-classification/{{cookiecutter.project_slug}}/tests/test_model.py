"""Every kind of target beats its baseline; every family answers and survives saving; the measure is the strict one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import bias, metrics, model, spans, tagger, text, transformer
from {{ cookiecutter.package_name }}.baselines import Rules
from {{ cookiecutter.package_name }}.network import Network, export
from {{ cookiecutter.package_name }}.prepare import prepare
from {{ cookiecutter.package_name }}.spans import Span
from {{ cookiecutter.package_name }}.tables import Table

QUICK = {"width": 48, "layers": 1, "epochs": 4, "learning_rate": 1e-2}


def span_f1(fitted: model.Model, table: Table) -> float:
    return metrics.METRICS["span_f1"](metrics.outcome(table.targets, fitted.predict(table.inputs)))


@pytest.fixture(scope="module")
def neural(tables: Tables) -> model.Model:
    """A transformer that learnt for a few seconds."""
    return model.fit(tables[0], tables[1], "transformer", {**QUICK, "epochs": 9}, seed=0)


@pytest.mark.parametrize(
    ("target", "baseline"), [("entities", "dictionary"), ("part_of_speech", "word_tags"), ("sentences", "punctuation")]
)
def test_every_target_beats_its_baseline(
    target: str, baseline: str, raw: Path, contract: Contract, tables: Tables, neural: model.Model
) -> None:
    """On later texts; the baselines do without a network."""
    if target == "entities":
        (train, test, _), fitted = tables, neural
    else:
        train, test, _ = prepare(raw, ROOT / "data" / "tickets-hard.jsonl", contract, target, 0.25)
        fitted = model.fit(train, test, "transformer", QUICK, seed=0)
    plain = model.fit(train, test, baseline, {}, seed=0)
    assert span_f1(fitted, test) > span_f1(plain, test) + 0.01
    assert span_f1(fitted, test) > 0.75


def test_saving_keeps_the_answers(neural: model.Model, fitted: model.Model, tables: Tables, tmp_path: Path) -> None:
    texts = tables[1].inputs.head(40)
    for one in (neural, fitted):
        folder = tmp_path / one.family
        one.save(folder)
        for again in (model.load(folder), model._load_pyfunc(str(folder))):
            pd.testing.assert_frame_equal(again.predict(texts), one.predict(texts))
        assert {path.suffix for path in folder.iterdir()} <= {".json", ".npz", ".onnx"}, "no file that could hold code"
        assert one.embed(["one", "two"]).shape[0] == 2


def test_serving_needs_no_pytorch(neural: model.Model, tmp_path: Path) -> None:
    neural.save(tmp_path)
    code = (
        "import sys, pandas; from {{ cookiecutter.package_name }} import model;"
        f"found = model.load(__import__('pathlib').Path({str(tmp_path)!r}));"
        "print(found.predict(pandas.DataFrame({'text': ['Where is order A-12345?']})));"
        "assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_onnx_answers_what_torch_does(neural: model.Model, tables: Tables, tmp_path: Path) -> None:
    import torch

    texts = tables[0].frame["text"].tolist()
    pieces = transformer.prepare_pieces("scratch", texts, lower=False)
    torch.manual_seed(0)
    net = Network.build("scratch", pieces.size, 5, 128, {**transformer.DEFAULTS, "width": 32}, True).eval()
    served = transformer.Transformer(pieces, export(net, tmp_path / "network.onnx"))
    batch = [*texts[:3], "x", " ".join(texts[:9])]
    encoded = pieces.encode(batch, transformer.MOST_PIECES)
    with torch.no_grad():
        logits, _ = net(torch.from_numpy(encoded.ids), torch.from_numpy(encoded.mask))
    np.testing.assert_allclose(served.run(batch)[0][0], logits.numpy(), atol=1e-5)


def test_long_texts_are_read_to_the_end(neural: model.Model, tables: Tables) -> None:
    long = " ".join(tables[1].frame["text"].head(30))
    parts = tagger.windows(neural.reader.encoder.pieces, long)  # type: ignore[attr-defined]  # it is a Tagger
    assert len(parts) > 3
    assert "".join(part.text for part in parts) == long
    assert sum(len(text.tokens(part.text)) for part in parts) == len(text.tokens(long))
    found = spans.read(neural.predict(pd.DataFrame({"text": [long]}))["prediction"][0])
    assert found[-1].end > 0.8 * len(long)
    endless = "a" * 4000
    assert "".join(part.text for part in tagger.windows(neural.reader.encoder.pieces, endless)) == endless  # type: ignore[attr-defined]


def test_any_text_gets_an_answer(neural: model.Model, fitted: model.Model) -> None:
    odd = pd.DataFrame({"text": ["", None, "\x00", "你好", "word " * 2000, "😀" * 50, float("nan"), "a.b@example.com"]})
    for one in (neural, fitted):
        prediction = one.predict(odd)
        assert prediction["confidence"].between(0, 1).all()
        for given, value in zip(odd["text"], prediction["prediction"], strict=True):
            spans.parse(value, given if isinstance(given, str) else "")


def test_offsets_are_those_of_the_text_as_it_was_given(fitted: model.Model) -> None:
    raw = "Write  to a.b@example.com:\u200b where is my Aero 3?"
    (value,) = fitted.predict(pd.DataFrame({"text": [raw]}))["prediction"]
    assert [raw[span.start : span.end] for span in spans.read(value)] == ["Aero 3"]


def test_same_seed_same_model(tables: Tables) -> None:
    train, test = tables[0].rows(0, 200), tables[1].rows(0, 40)
    one, other = (model.fit(train, test, "transformer", {**QUICK, "epochs": 1}, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(one.predict(test.inputs), other.predict(test.inputs))


def test_every_inside_continues_a_span() -> None:
    classes = ["B-a", "B-b", "I-a", "I-b", "O"]
    odds = np.random.default_rng(0).random((200, len(classes)))
    tags = [classes[place] for place in model.best_path(odds / odds.sum(axis=1, keepdims=True), classes)]
    for before, tag in zip(["O", *tags], tags, strict=False):
        assert not tag.startswith("I-") or before[2:] == tag[2:]
    sure = np.eye(len(classes))[[4, 0, 2, 4, 1, 3]] * 0.9 + 0.02
    assert [classes[place] for place in model.best_path(sure, classes)] == ["O", "B-a", "I-a", "O", "B-b", "I-b"]


def test_names_are_invented_in_place(tables: Tables) -> None:
    texts, tags = model.tagged(tables[0])
    invented = tagger.invent(texts, tags, 1.0, seed=0)
    assert [len(one) for one in invented] == [len(one) for one in texts]
    assert [len(text.tokens(one)) for one in invented] == [len(text.tokens(one)) for one in texts]
    assert tagger.invent(texts, [["B-x"] * len(row) for row in tags], 1.0, seed=0) == texts, "not where all is labelled"


def frames(true: list[list[Span]], answered: list[list[Span]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        pd.DataFrame({"y": [spans.dump(one) for one in true]}),
        pd.DataFrame({"prediction": [spans.dump(one) for one in answered], "confidence": 1.0}),
    )


A, B, CUT = Span(0, 4, "a"), Span(5, 9, "b"), Span(5, 8, "b")


@pytest.mark.parametrize(
    ("true", "answered", "precision", "recall", "f1"),
    [
        ([[A, B]], [[A, B]], 1, 1, 1),
        ([[A, B]], [[A]], 1, 1 / 2, 2 / 3),
        ([[A, B]], [[A, CUT]], 1 / 2, 1 / 2, 1 / 2),  # half of a span is no span
        ([[A]], [[A._replace(label="b")]], 0, 0, 0),  # the right place, another label
        ([[A], [B]], [[A, B], []], 1 / 2, 1 / 2, 1 / 2),  # in another text
        ([[A, B], [A]], [[A, B, Span(10, 11, "a")], []], 2 / 3, 2 / 3, 2 / 3),
        ([[]], [[]], 1, 1, 1),
        ([[]], [[A]], 0, 1, 0),
        ([[A]], [[]], 1, 0, 0),
    ],
)
def test_the_measure_is_the_strict_one(
    true: list[list[Span]], answered: list[list[Span]], precision: float, recall: float, f1: float
) -> None:
    found = metrics.outcome(*frames(true, answered))
    values = [metrics.METRICS[name](found) for name in ("span_precision", "span_recall", "span_f1")]
    assert values == pytest.approx([precision, recall, f1])


def test_each_span_has_one_fate() -> None:
    true = [[A, B, Span(10, 12, "a"), Span(20, 24, "a")]]
    answered = [[A, CUT, Span(10, 12, "b")]]
    found = metrics.outcome(*frames(true, answered))
    a, b = metrics.breakdown(found).to_dict(orient="records")
    assert [a[name] for name in ("spans", "recall", "confused", "missed")] == pytest.approx([3, 1 / 3, 1 / 3, 1 / 3])
    assert [b[name] for name in ("spans", "recall", "cut")] == [1, 0, 1]
    assert metrics.loss(*frames(true, answered)).tolist() == [5]
    twice = found.take(np.array([0, 0]))
    assert metrics.METRICS["macro_f1"](twice) == metrics.METRICS["macro_f1"](found) == pytest.approx((0.5 + 0) / 2)


def test_unknown_family_and_rare_labels_are_refused(tables: Tables) -> None:
    with pytest.raises(Problem, match="'forest' does not exist"):
        model.fit(tables[0], tables[1], "forest", {}, seed=0)
    frame = tables[0].frame.copy()
    frame.loc[0, "entities"] = json.dumps([{"start": 0, "end": 3, "label": "praise"}])
    with pytest.raises(Problem, match="'praise' is on 1 of"):
        model.fit(Table(frame, tables[0].contract, ""), tables[1], "dictionary", {}, seed=0)


def test_a_biased_model_is_found(fitted: model.Model, tables: Tables) -> None:
    """A dictionary that knows the names of one group alone."""
    rules = fitted.reader
    assert isinstance(rules, Rules)
    assert bias.gap(bias.probe(fitted, tables[1].frame)) == 0, "it knows the names of none"
    known = {name.lower(): "person" for name in bias.NAMES["German"]}
    rules = Rules(rules.features, rules.classes, rules.kind, {**rules.table, **known})
    found = bias.probe(replace(fitted, reader=rules), tables[1].frame)
    assert bias.gap(found) == 1
    assert found["group"].iloc[-1] == "German"
