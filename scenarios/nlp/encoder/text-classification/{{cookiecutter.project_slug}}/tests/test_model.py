"""Every family learns, answers and survives saving; each kind of question beats its baseline."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, log_loss

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import bias, data, metrics, model
from {{ cookiecutter.package_name }}.prepare import prepare
from {{ cookiecutter.package_name }}.tables import Table

NEURAL = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "tokenizers", "torch"))
needs_extra = pytest.mark.skipif(not NEURAL, reason="needs the extra transformer")
QUICK = {"width": 32, "layers": 1, "epochs": 5, "learning_rate": 8e-3}


def accuracy(fitted: model.Model, table: Table) -> float:
    return metrics.METRICS["accuracy"](metrics.outcome(table.targets, fitted.predict(table.inputs)))


@pytest.mark.parametrize("family", ["naive_bayes", "linear", pytest.param("transformer", marks=needs_extra)])
def test_family(family: str, tables: Tables, tmp_path: Path) -> None:
    train, test, hard = tables
    fitted = model.fit(train, test, family, QUICK if family == "transformer" else {}, seed=0)
    prediction = fitted.predict(test.inputs)
    probabilities = prediction.filter(like="probability_").to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    assert accuracy(fitted, test) > 0.85
    baseline = hard.targets.iloc[:, 0].value_counts(normalize=True).max()
    assert accuracy(fitted, hard) > 2 * baseline

    fitted.save(tmp_path)
    for again in (model.load(tmp_path), model._load_pyfunc(str(tmp_path))):
        pd.testing.assert_frame_equal(again.predict(test.inputs), prediction)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz", ".onnx"}, "no file that could hold code"
    assert fitted.embed(["one", "two"]).shape[0] == 2


@pytest.mark.parametrize("target", ["intent", "sentiment", "language"])
def test_every_question_beats_its_baseline(target: str, raw: Path, contract: Contract) -> None:
    """The baseline always answers the most frequent class; the hard texts were made by other rules."""
    train, test, hard = prepare(raw, ROOT / "data" / "tickets-hard.jsonl", contract, target, 0.25)
    fitted = model.fit(train, test, "linear", {}, seed=0)
    for table, least in ((test, 0.9), (hard, 0.5)):
        baseline = table.targets.iloc[:, 0].value_counts(normalize=True).max()
        assert accuracy(fitted, table) > max(least, baseline + 0.1)


def test_any_text_gets_an_answer(fitted: model.Model) -> None:
    odd = pd.DataFrame({"text": ["", None, "\x00", "你好", "word " * 2000, "😀" * 50, float("nan")]})
    prediction = fitted.predict(odd)
    assert prediction.notna().all().all()
    assert set(prediction["prediction"]) <= set(fitted.classes)


def test_same_seed_same_model(tables: Tables) -> None:
    first, second = (model.fit(tables[0], tables[1], "linear", {}, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first.predict(tables[1].inputs), second.predict(tables[1].inputs))


@needs_extra
def test_onnx_answers_what_torch_does(tables: Tables, tmp_path: Path) -> None:
    import torch

    from {{ cookiecutter.package_name }} import network, transformer

    texts = tables[0].frame["text"].tolist()
    pieces = transformer.prepare_pieces("scratch", texts)
    for per_piece in (False, True):
        torch.manual_seed(0)
        parameters = {**transformer.DEFAULTS, "width": 32}
        net = network.Network.build("scratch", pieces.size, 5, 128, parameters, per_piece).eval()
        served = transformer.Transformer(pieces, network.export(net, tmp_path / "network.onnx"))
        batch = [*texts[:3], "x", " ".join(texts[:9])]
        encoded = pieces.encode(batch, transformer.MOST_PIECES)
        with torch.no_grad():
            logits, _ = net(torch.from_numpy(encoded.ids), torch.from_numpy(encoded.mask))
        np.testing.assert_allclose(served.run(batch)[0][0], logits.numpy(), atol=1e-5)


@needs_extra
def test_the_tokenizer_is_learnt_and_keeps_places(tables: Tables, tmp_path: Path) -> None:
    from {{ cookiecutter.package_name }}.tokenizer import Pieces

    texts = tables[0].frame["text"].tolist()
    pieces, again = Pieces.train(texts), Pieces.train(texts)
    pieces.save(tmp_path / "tokenizer.json")
    same = Pieces.load(tmp_path / "tokenizer.json")
    first, *others = (one.encode(texts[:20], 128) for one in (pieces, again, same))
    for other in others:
        np.testing.assert_array_equal(first.ids, other.ids)
    text, offsets = texts[0], first.offsets[0]
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
    assert len(offsets) < len(text) / 2, "frequent words are one piece"


@needs_extra
@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="needs the extra hub")
def test_a_pretrained_model_is_the_base(tables: Tables, tmp_path: Path) -> None:
    """A model in a folder, as Hugging Face's library saves it; this one knows nothing yet."""
    from {{ cookiecutter.package_name }}.tokenizer import Pieces

    hub: Any = importlib.import_module("transformers")  # used without its types
    pieces = Pieces.train(tables[0].frame["text"].tolist())
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    wrapped = hub.PreTrainedTokenizerFast(tokenizer_object=pieces.tokenizer, pad_token="<pad>", unk_token="<unk>")
    for part in (wrapped, hub.BertModel(hub.BertConfig(vocab_size=pieces.size, **shape))):
        part.save_pretrained(tmp_path / "base")
    quick = {"epochs": 3, "learning_rate": 8e-3}
    fitted = model.fit(tables[0], tables[1], "transformer", quick, seed=0, base_model=str(tmp_path / "base"))
    fitted.save(tmp_path / "model")
    again = model.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(tables[1].inputs), fitted.predict(tables[1].inputs))
    assert accuracy(fitted, tables[1]) > 0.6


def test_probabilities_come_true(tables: Tables) -> None:
    fitted = model.fit(tables[0], tables[1], "linear", {}, seed=0)
    too_sure = replace(fitted, temperature=0.1)
    calibrated = too_sure.calibrated(tables[1])
    losses = [metrics.loss(tables[1].targets, m.predict(tables[1].inputs)).mean() for m in (too_sure, calibrated)]
    assert losses[1] < losses[0]


def test_unknown_family_and_rare_classes_are_refused(tables: Tables) -> None:
    with pytest.raises(Problem, match="'forest' does not exist"):
        model.fit(tables[0], tables[1], "forest", {}, seed=0)
    frame = tables[0].frame.copy()
    frame.loc[0, "intent"] = "praise"
    with pytest.raises(Problem, match="'praise' has 1 training texts"):
        model.fit(replace(tables[0], frame=frame), tables[1], "linear", {}, seed=0)


def test_metrics_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = pd.DataFrame({"y": generator.choice(["a", "b", "c"], 300)})
    weights = generator.random((300, 3)) + 0.05
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    prediction = pd.DataFrame(probabilities, columns=["probability_a", "probability_b", "probability_c"])
    prediction["prediction"] = np.array(["a", "b", "c"])[probabilities.argmax(axis=1)]
    found = metrics.outcome(truth, prediction)
    values = {name: metric(found) for name, metric in metrics.METRICS.items()}
    assert values["macro_f1"] == pytest.approx(f1_score(truth["y"], prediction["prediction"], average="macro"))
    assert values["log_loss"] == pytest.approx(log_loss(truth["y"], probabilities))
    assert values["accuracy"] == pytest.approx((truth["y"] == prediction["prediction"]).mean())
    table = metrics.breakdown(found)
    assert table["rows"].sum() == 300
    assert table["f1"].mean() == pytest.approx(values["macro_f1"])


def test_an_unknown_class_costs_but_does_not_break() -> None:
    truth = pd.DataFrame({"y": ["a", "b", "new"]})
    prediction = pd.DataFrame({"probability_a": [0.9, 0.2, 0.6], "probability_b": [0.1, 0.8, 0.4]})
    prediction["prediction"] = ["a", "b", "a"]
    found = metrics.outcome(truth, prediction)
    assert metrics.loss(truth, prediction)[2] > 10
    assert metrics.METRICS["accuracy"](found) == pytest.approx(2 / 3)
    assert metrics.METRICS["macro_f1"](found) < 2 / 3


def test_a_biased_model_is_found(fitted: model.Model, tables: Tables) -> None:
    assert bias.gap(bias.probe(fitted, tables[1].frame)) <= 0.05
    frame = tables[0].frame.copy()
    rows = frame.index % 4 == 0
    who = frame["language"].map({language: terms["migrant"] for language, terms in bias.WHO.items()})
    frame.loc[rows, "text"] += " " + who[rows]
    frame.loc[rows, "intent"] = "cancel"
    prejudiced = model.fit(replace(tables[0], frame=frame), tables[1], "linear", {}, seed=0)
    found = bias.probe(prejudiced, tables[1].frame)
    assert bias.gap(found) > 0.5
    assert found["group"].iloc[0] == "migrant"


def test_the_file_is_read_as_csv_too(raw: Path, contract: Contract, tmp_path: Path) -> None:
    frame = data.load(raw, contract)
    frame.to_csv(tmp_path / "tickets.csv", index=False)
    pd.testing.assert_frame_equal(data.load(tmp_path / "tickets.csv", contract), frame)
