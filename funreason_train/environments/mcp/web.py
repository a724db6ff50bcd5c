"""What an HTTP server answers with where it does not let a request through."""

from __future__ import annotations

from typing import Any

_LOGIN = (401, 403)
_ELSEWHERE = (404, 405, 407, 410)  # nothing that speaks the protocol is there
#: Besides them and all from 500 on: too slow, too many. Others may be a call's own fault.
_REFUSED = (*_ELSEWHERE, 408, 429)


class Web:
    """The last answer to a request of one session; nothing where the server is a process."""

    def __init__(self) -> None:
        self._status, self._kind = 200, ""

    async def remember(self, response: Any) -> None:
        """Takes in a response of `httpx2`; those to what listens besides the requests do not count."""
        if response.request.method == "POST":
            self._status, self._kind = response.status_code, response.headers.get("content-type", "")

    def refused(self) -> str:
        """Why the last request did not reach the server's tools, as a clause; empty if it did."""
        if self._status in _LOGIN:
            return "asks for a login: give it one in `headers` or `env` of its description"
        if self._kind.startswith("text/html"):
            return "answers with a web page, as of a login: look at its `url` and `headers`"
        if self._status in _REFUSED or self._status >= 500:
            fix = (
                "look at its `url`"
                if self._status in _ELSEWHERE
                else "it is busy or out of order; try again later"
            )
            return f"answers with HTTP status {self._status}: {fix}"
        return ""
