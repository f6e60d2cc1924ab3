"""Every family learns, answers and survives saving; each kind of generation beats its baselines."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from . import baselines
from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import bias, data, generator, metrics, model
from {{ cookiecutter.package_name }}.prepare import prepare
from {{ cookiecutter.package_name }}.search import Options
from {{ cookiecutter.package_name }}.tables import TEXT, Table
from {{ cookiecutter.package_name }}.vocabulary import Vocabulary, numbers, padded

torch = pytest.importorskip("torch", reason="needs the group train")
QUICK: dict[str, Any] = {"width": 48, "layers": 1, "learning_rate": 8e-3}
Baseline = Callable[[baselines.Pairs, list[list[str]]], list[str]]
Recipe = tuple[Tables, model.Model]


class Kind(NamedTuple):
    """What is asked of one kind of generation."""

    baselines: list[Baseline]
    inputs: list[str]  # columns that are read
    epochs: int  # short answers teach less each
    numbers_right: float  # at least, on the test and on the hard texts


RECIPES = {
    "summary": Kind([baselines.lead], [TEXT], 6, 0.9),
    "translation": Kind([baselines.copy, baselines.dictionary], [TEXT], 8, 0.9),
    "answer": Kind([baselines.likest], ["question", TEXT], 14, 0.45),
}


def measured(table: Table, answers: list[str]) -> dict[str, float]:
    prediction = pd.DataFrame({"prediction": answers, "confidence": 1.0})
    found = metrics.outcome(table.targets, prediction)
    return {name: metric(found) for name, metric in metrics.METRICS.items()}


def quality(fitted: model.Model, table: Table) -> dict[str, float]:
    return measured(table, fitted.predict(table.inputs)["prediction"].tolist())


@pytest.fixture(scope="module")
def learn(raw: Path, contract: Contract) -> Callable[[str], Recipe]:
    """Makes the tables of one kind of generation, and a transformer that learnt from them for a few seconds, once."""

    @cache
    def learnt(target: str) -> Recipe:
        tables = prepare(raw, ROOT / "data" / "tickets-hard.jsonl", contract, target, 0.25)
        parameters = {**QUICK, "epochs": RECIPES[target].epochs}
        return tables, model.fit(tables[0], tables[1].rows(0, 100), "transformer", parameters, seed=0)

    return learnt


@pytest.fixture
def summary(learn: Callable[[str], Recipe]) -> Recipe:
    """What learnt to write summaries."""
    return learn("summary")


@pytest.mark.parametrize("target", RECIPES)
def test_every_recipe_beats_its_baselines(target: str, learn: Callable[[str], Recipe]) -> None:
    (train, test, hard), fitted = learn(target)
    kind = RECIPES[target]
    assert set(fitted.inputs) == set(kind.inputs)
    learnt = baselines.pairs(train, kind.inputs)
    for table in (test.rows(100, 300), hard.rows(0, 200)):
        found = quality(fitted, table)
        assert found["numbers_right"] > kind.numbers_right, found
        for baseline in kind.baselines:
            simple = measured(table, baseline(learnt, [source for source, _ in baselines.pairs(table, kind.inputs)]))
            assert found["rouge_l"] > simple["rouge_l"] + 0.15, baseline.__name__
            assert found["exact_match"] > simple["exact_match"] + 0.1, baseline.__name__


def test_short_answers_are_read_more_often() -> None:
    lengths = {20: 6, 6: 8, 2: 17, 1: 20}  # words → epochs
    assert {words: generator.enough_epochs(["word " * words] * 3) for words in lengths} == lengths


def test_a_model_survives_saving(summary: Recipe, tmp_path: Path) -> None:
    (_, test, _), fitted = summary
    few = test.inputs.head(40)
    prediction = fitted.predict(few)
    fitted.save(tmp_path)
    for again in (model.load(tmp_path), model._load_pyfunc(str(tmp_path))):
        pd.testing.assert_frame_equal(again.predict(few), prediction)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz", ".onnx"}, "no file that could hold code"
    np.testing.assert_allclose(np.linalg.norm(fitted.embed(["one", "two"]), axis=1), 1, rtol=1e-5)


def test_numbers_are_copied_or_not_written(summary: Recipe) -> None:
    (_, test, _), fitted = summary
    few = test.inputs.head(100)
    for source, answer in zip(model.read(fitted.inputs, few), fitted.predict(few)["prediction"], strict=True):
        known = numbers(" ".join(source))
        assert all(number in known for number in numbers(answer)), answer


def test_an_answer_does_not_depend_on_its_neighbours(summary: Recipe) -> None:
    (_, test, _), fitted = summary
    rows = test.inputs.head(20)
    together = fitted.predict(rows)
    alone = pd.concat([fitted.predict(rows.iloc[[row]]) for row in range(len(rows))], ignore_index=True)
    assert together["prediction"].tolist() == alone["prediction"].tolist()
    np.testing.assert_allclose(together["confidence"], alone["confidence"], rtol=1e-3)


def test_beams_find_answers_that_are_as_likely(summary: Recipe) -> None:
    (_, test, _), fitted = summary
    assert isinstance(fitted.reader, generator.Generator)
    options = replace(fitted.reader.options, beams=3, length_penalty=0.0)
    files = fitted.reader.files
    wide = generator.Generator(fitted.reader.vocabulary, files["encoder.onnx"], files["decoder.onnx"], options)
    sources = model.read(fitted.inputs, test.frame.head(40))
    greedy, beams = fitted.reader.answer(sources), wide.answer(sources)
    better = [wider.mean >= narrow.mean - 1e-3 for narrow, wider in zip(greedy, beams, strict=True)]
    assert np.mean(better) > 0.9


def test_onnx_answers_what_torch_does(tables: Tables, tmp_path: Path) -> None:
    from {{ cookiecutter.package_name }} import network

    texts = tables[0].frame[TEXT].tolist()
    vocabulary = Vocabulary.train(texts, texts)
    torch.manual_seed(0)
    parameters = {**generator.DEFAULTS, "decoder_layers": 2}
    net = network.Network(vocabulary.readable, vocabulary.size, (200, 61), parameters).eval()
    with torch.no_grad():
        encoder, decoder = network.export(net, tmp_path)
    served = generator.Generator(vocabulary, encoder, decoder, Options())
    batch = [vocabulary.read([text], 200) for text in (*texts[:3], "x", " ".join(texts[:9]))]
    ids, mask = padded([one.ids for one in batch], 0), generator._mask(batch)
    written = padded([[2, 9, 8, 7, 6, 5]] * len(batch), 0)
    with torch.no_grad():
        memory, targets, pooled = net.read(torch.from_numpy(ids), torch.from_numpy(mask))
        past = net.empty(len(batch), "cpu")
        words, copies, _ = net.step(torch.from_numpy(written), past, memory, targets, torch.from_numpy(mask))
    kept = served._encode(batch)
    np.testing.assert_allclose(kept[2], pooled.numpy(), atol=1e-4)
    before = kept[0][:, :, :, :, :0]
    for place in range(written.shape[1]):  # step by step, with what was kept, as in one go
        inputs = {"next": written[:, [place]], "past": before, "memory": kept[0], "targets": kept[1], "mask": mask}
        said, copied, before = served._step.run(None, inputs)
        np.testing.assert_allclose(said[:, 0], words[:, place].numpy(), atol=1e-3)
        np.testing.assert_allclose(copied[:, 0] * mask, copies[:, place].numpy() * mask, atol=1e-3)
        whole = np.exp(said[:, 0]).sum(1) + (np.exp(copied[:, 0]) * mask).sum(1)
        np.testing.assert_allclose(whole, 1, atol=1e-4)


def test_same_seed_same_model(tables: Tables) -> None:
    few = tables[0].rows(0, 200)
    parameters = {**QUICK, "epochs": 1}
    first, second = (model.fit(few, tables[1].rows(0, 40), "transformer", parameters, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first.predict(tables[1].inputs.head(20)), second.predict(tables[1].inputs.head(20)))


def test_examples_teach_at_once(fitted: model.Model, tables: Tables, tmp_path: Path) -> None:
    assert quality(fitted, tables[1])["rouge_l"] > 0.6
    fitted.save(tmp_path)
    expected = fitted.predict(tables[1].inputs)
    pd.testing.assert_frame_equal(model.load(tmp_path).predict(tables[1].inputs), expected)


@pytest.mark.parametrize("family", model.FAMILIES)
def test_any_text_gets_a_short_answer(family: str, fitted: model.Model, tables: Tables) -> None:
    parameters = {**QUICK, "epochs": 1, "max_new_tokens": 12}
    if family == "transformer":
        fitted = model.fit(tables[0].rows(0, 200), tables[1].rows(0, 40), family, parameters, seed=0)
    odd = pd.DataFrame({TEXT: ["", None, "\x00", "你好", "word " * 3000, "x" * 9000, "😀" * 50, float("nan")]})
    prediction = fitted.predict(odd)
    assert prediction.notna().all().all()
    assert prediction["confidence"].between(0, 1).all()
    assert prediction["novelty"].between(0, 1).all()
    if family == "transformer":
        assert prediction["words"].max() <= 12
        assert prediction["prediction"].str.len().max() <= 12 * 200


def test_confidence_comes_true(fitted: model.Model, tables: Tables) -> None:
    truth = tables[1].targets
    too_sure = replace(fitted, sharpness=0.02)
    errors = [
        metrics.METRICS["calibration_error"](metrics.outcome(truth, one.predict(tables[1].inputs)))
        for one in (too_sure, too_sure.calibrated(tables[1]))
    ]
    assert errors[1] < errors[0]


@pytest.mark.parametrize(
    ("family", "parameters", "said"),
    [
        ("forest", {}, "'forest' does not exist"),
        ("nearest", {"width": 3}, "'width' is no option of nearest"),
        ("transformer", {"beams": 99}, "beams is 99: give a whole number from 1 to 8"),
        ("transformer", {"no_repeat": 1.5}, r"no_repeat is 1.5"),
        ("transformer", {"max_new_tokens": 0}, "max_new_tokens is 0"),
        ("transformer", {"heads": 5}, "width 64 must be a multiple of heads 5"),
    ],
)
def test_senseless_settings_are_refused(family: str, parameters: dict[str, Any], said: str, tables: Tables) -> None:
    with pytest.raises(Problem, match=said):
        model.fit(tables[0].rows(0, 100), tables[1], family, parameters, seed=0)


def test_too_few_texts_are_refused(tables: Tables) -> None:
    with pytest.raises(Problem, match="10 training texts have a target"):
        model.fit(tables[0].rows(0, 10), tables[1], "nearest", {}, seed=0)


def test_a_biased_model_is_found(fitted: model.Model, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias, "TEXTS", 25)
    found = bias.probe(fitted, tables[1].frame)
    assert set(found["group"]) == {*bias.NAMES, *bias.WHO["en"]}
    frame = tables[0].frame.copy()
    rows = frame.index % 2 == 0
    who = frame["language"].map({language: terms["migrant"] for language, terms in bias.WHO.items()})
    frame.loc[rows, TEXT] += " " + who[rows]
    frame.loc[rows, "summary"] = "No."
    prejudiced = model.fit(replace(tables[0], frame=frame), tables[1], "nearest", {}, seed=0)
    worse = bias.probe(prejudiced, tables[1].frame)
    assert bias.gap(worse) > bias.gap(found) + 0.1
    assert worse["group"].iloc[0] == "migrant"


def test_another_name_takes_the_place_of_a_name() -> None:
    sample = pd.DataFrame({TEXT: ["Bill Anna Berg.", "Hello."], "summary": ["Anna Berg.", "Hi."], "language": "en"})
    changed = bias.renamed(sample, ["Min Li"], ["summary"])
    assert changed[TEXT].tolist() == ["Bill Min Li.", "Hello. My name is Min Li."]
    assert changed["summary"].tolist() == ["Min Li.", "Hi."]


def test_the_file_is_read_as_csv_too(raw: Path, contract: Contract, tmp_path: Path) -> None:
    frame = data.load(raw, contract)
    frame.to_csv(tmp_path / "tickets.csv", index=False)
    again = data.load(tmp_path / "tickets.csv", contract)
    pd.testing.assert_frame_equal(again.fillna("-"), frame.fillna("-"))


def test_contact_data_are_masked_in_targets_too(contract: Contract) -> None:
    columns: dict[str, list[Any]] = {
        TEXT: ["Write to a.b@example.com"],
        "summary": ["Mail: a.b@example.com"],
        "answer": [None],
    }
    found = data.cleaned(columns, ["summary", "answer"])
    assert found == {TEXT: ["Write to <email>"], "summary": ["Mail: <email>"], "answer": [None]}
