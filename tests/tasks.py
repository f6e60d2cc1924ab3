"""What is offered, and what the tests need to know of each task."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ANSWERS: dict[str, Any] = json.loads(
    Path(__file__).resolve().parents[1].joinpath("cookiecutter.json").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Task:
    """One task of a scenario."""

    scenario: str
    name: str
    data: list[str]  # the files under data/, without the README and the contract
    asset: str  # its Azure ML data asset
    new: str  # the data that differ from those that the model learnt from
    worse: list[str]  # settings of a candidate that cannot beat the default one
    settings: list[str] = field(default_factory=list)  # others that must work
    extras: list[str] = field(default_factory=list)


FLIGHTS = ["flights.parquet", "flights-new.parquet"]
ALL = [
    Task(
        *("classical", "classification", FLIGHTS, "flights", "flights-new.parquet"),
        worse=["family=linear", "trials=1"],
        settings=[
            "target=arrival_delay_class trials=1",
            "target=departure_late,arrival_late trials=1",
        ],  # multi-class, -label
    ),
    Task(
        *("classical", "regression", FLIGHTS, "flights", "flights-new.parquet"),
        worse=["family=quantile", "trials=1"],
        settings=["family=bayesian_ridge trials=1"],
    ),
    Task(
        *("classical", "forecasting", ["departures.parquet", "departures-new.parquet"], "departures"),
        new="departures-new.parquet",
        worse=["family=seasonal_naive", "trials=1"],
        settings=["family=arima trials=1", "family=lstm trials=1"],
        extras=["statsmodels", "lstm"],
    ),
    Task(
        *("cv", "image-classification", ["images/images.parquet", "images-new.parquet"], "images"),
        new="images-new.parquet",
        worse=["epochs=1"],
        settings=["processes=2 epochs=1"],  # through torchrun
    ),
    Task(
        *("cv", "segmentation", ["images/images.parquet", "images-new.parquet"], "images"),
        new="images-new.parquet",
        worse=["epochs=1"],
    ),
    Task(
        *("nlp", "text-classification", [f"tickets{part}.jsonl" for part in ("", "-hard", "-new")], "tickets"),
        new="tickets-new.jsonl",
        worse=["family=naive_bayes", "trials=1"],
        settings=["target=language trials=1", "family=transformer trials=1"],
        extras=["transformer", "hub"],
    ),
    Task(
        *("nlp", "token-classification", [f"tickets{part}.jsonl" for part in ("", "-hard", "-new")], "tickets"),
        new="tickets-new.jsonl",
        worse=["family=dictionary"],
        settings=["target=sentences", "target=part_of_speech"],
        extras=["hub"],
    ),
    Task(
        *("nlp", "text-generation", [f"tickets{part}.jsonl" for part in ("", "-hard", "-new")], "tickets"),
        new="tickets-new.jsonl",
        worse=["family=nearest"],
        settings=["target=answer options=epochs=1", "target=translation options=beams=4,max_new_tokens=40,epochs=1"],
    ),
]
BY_NAME = {task.name: task for task in ALL}
SCENARIOS: dict[str, list[str]] = {}
for one in ALL:
    SCENARIOS.setdefault(one.scenario, []).append(one.name)


def one_at_a_time() -> list[dict[str, str]]:
    """Each task, and each other value of the questions with choices, beside default answers."""
    several = {key: ANSWERS[key] for key in ("ci_system", "iac_tool", "deployment")}
    first = {key: values[0] for key, values in several.items()}
    tasks = [{"scenario": task.scenario, "task": task.name, **first} for task in ALL]
    return [*tasks, *({**tasks[0], key: value} for key, values in several.items() for value in values[1:])]


# Words that only the projects of these scenarios or tasks may have.
WORDS = {
    "predict_proba(": ["classification"],
    "air_time_": ["regression"],
    "departures.parquet": ["forecasting"],
    "statsmodels": ["forecasting"],
    "forecaster": ["forecasting"],
    "arrival_late": ["classification", "regression"],
    "lightgbm": ["classical"],
    "skops": ["classification", "regression"],
    "flights": ["classical"],
    "pixel": ["cv"],
    "jpeg": ["cv"],
    "coco": ["cv"],
    "tokenizer": ["text-classification", "token-classification"],
    "tickets": ["nlp"],
    "naive_bayes": ["text-classification"],
    "conll": ["token-classification"],
    "part_of_speech": ["token-classification"],
    "rouge": ["text-generation"],
    "onnx": ["cv", "nlp"],
    "mlops label": ["cv", "nlp"],
}
