"""Azure's services that the SDK has no client for: JSON over HTTPS, as who runs this."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

from mlops_runtime import cloud, web
from mlops_runtime.errors import Problem

MANAGEMENT = "https://management.azure.com"
SECONDS = 180


class NotThere(Problem):
    """What was asked for is not there."""


def send(url: str, content: Any = None, *, what: str, helps: str, audience: str = "") -> Any:
    """What a service answers; to `content` when there is some. `what` cannot be read, and what `helps`, are for people.

    `audience` is whom the token is for, by default the service itself.
    """
    service = audience or "/".join(url.split("/")[:3])
    request = Request(
        url,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Authorization": f"Bearer {cloud.credential().get_token(f'{service}/.default').token}",
            "Content-Type": "application/json",
        },
    )
    try:
        with web.ask(request, SECONDS) as answer:
            return json.load(answer)
    except HTTPError as error:
        said = error.read().decode(errors="replace")[:500]
        kind = NotThere if error.code == 404 else Problem
        raise kind(f"{what} cannot be read ({error.code}): {said}. {helps}") from None
    except URLError as error:
        raise Problem(f"{what} cannot be reached: {error.reason}.") from None
