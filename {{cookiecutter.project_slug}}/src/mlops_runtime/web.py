"""HTTP requests of our own, which often carry a token: none is sent on to where an answer points."""

import urllib.request
from typing import Any


class _Stay(urllib.request.HTTPRedirectHandler):
    """Python's own would repeat the request, with the token, at whatever address a redirect names."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none: the caller gets the 3xx as an HTTPError."""


def ask(request: urllib.request.Request | str, seconds: float) -> Any:
    """The answer to a request over HTTP or HTTPS, as `urlopen` gives it."""
    if isinstance(request, str):
        request = urllib.request.Request(request)
    if request.type not in ("http", "https"):
        raise ValueError(f"{request.type}: is not asked, only http: and https:")
    return urllib.request.build_opener(_Stay).open(request, timeout=seconds)
