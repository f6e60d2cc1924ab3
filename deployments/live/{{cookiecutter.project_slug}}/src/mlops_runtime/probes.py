"""Requests to a deployment: whether it answers as it should, for how long it does, and under how much load."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlops_runtime import web
from mlops_runtime.rollout import Answer, failed

TIMEOUT = 60  # seconds
WORKERS = 32  # requests under way at a time, at most
MODEL_STATUS = "ms-azureml-model-error-statuscode"  # managed endpoints say 424 and give the script's own status here
Ask = Callable[[bytes], Answer]


def asker(uri: str, deployment: str, token: Callable[[], str]) -> Ask:
    """A function that sends a JSON body to one deployment of the endpoint, whatever its share of the traffic."""

    def ask(body: bytes) -> Answer:
        headers = {"Content-Type": "application/json", "azureml-model-deployment": deployment}
        request = urllib.request.Request(uri, body, {**headers, "Authorization": f"Bearer {token()}"}, method="POST")
        started = time.monotonic()
        try:
            with web.ask(request, TIMEOUT) as given:
                content = given.read()
                return Answer(given.status, time.monotonic() - started, content)
        except urllib.error.HTTPError as error:
            status = int(error.headers.get(MODEL_STATUS) or error.code)
            return Answer(status, time.monotonic() - started, error.read())
        except (OSError, ValueError) as error:  # no connection, or one that broke
            return Answer(0, time.monotonic() - started, str(error).encode())

    return ask


def smoke(ask: Ask, rows: list[dict[str, Any]]) -> list[str]:
    """What is wrong with how a deployment answers its model's own example and a request that makes no sense."""
    good, found = ask(body(rows)), []
    try:
        answered = good.status == 200 and len(json.loads(good.body)["predictions"]) > 0
    except (ValueError, KeyError, TypeError):
        answered = False
    if not answered:
        said = good.body[:300].decode(errors="replace")
        found.append(f"the model's own example got HTTP {good.status} and no predictions: {said}")
    bad = ask(b'{"input_data": "nonsense"}')
    if not 400 <= bad.status < 500:
        found.append(f"a request that makes no sense got HTTP {bad.status}; it must get a 4xx")
    return found


def body(rows: list[dict[str, Any]]) -> bytes:
    """A request for these rows."""
    return json.dumps({"input_data": rows}).encode()


def watch(ask: Ask, request: bytes, requests: int, seconds: float, tolerated: float) -> list[Answer]:
    """Ask `requests` times over `seconds`; stop early when more than a share of `tolerated` of them has failed."""
    answers: list[Answer] = []
    for number in range(requests):
        started = time.monotonic()
        answers.append(ask(request))
        if failed(answers) > tolerated * requests:
            break
        if number < requests - 1:
            time.sleep(max(0.0, seconds / (requests - 1) - (time.monotonic() - started)))
    return answers


def load(ask: Ask, request: bytes, per_second: float, seconds: float) -> tuple[Sequence[Answer], float]:
    """Ask at a constant rate, however long the answers take; the answers, and how many came per second.

    An answer's time counts from when its request was due, so that a deployment that falls behind shows it.
    """
    begun = time.monotonic()

    def at(moment: float) -> Answer:
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        answer = ask(request)
        return Answer(answer.status, time.monotonic() - begun - moment, answer.body[:0])

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(at, (number / per_second for number in range(round(per_second * seconds)))))
    return answers, len(answers) / (time.monotonic() - begun)
