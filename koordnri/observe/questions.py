"""Questions to the running daemon: GET /v1/NAME?PARAMETERS → JSON. The control socket serves them, and the HTTP port if it is asked to.

Errors: 400 {"error"} for a parameter that is unknown, missing or malformed; 404 {"error"} for a pod, container or field that is not here;
503 {"error"} for a timeout; 500 for a bug of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any
from urllib.parse import parse_qsl

from koordnri.observe.http import HTTPAnswer, HTTPRequest, Page, Pages, json_answer

Parameters = Mapping[str, str]
Question = Callable[[Parameters], Any]
"""The answer as JSON. Raises BadQuestion, NotHere, TimeoutError. Several threads call it at once."""
MOST_PARAMETERS = 16
NONE: Set[str] = frozenset()


class BadQuestion(Exception):
    """A parameter is unknown, missing or malformed; the message says what was expected."""


class NotHere(Exception):
    """The daemon does not know the pod, container or field that was asked for."""


def pages_of(questions: Mapping[str, Question]) -> Pages:
    """NAME → question, as pages."""
    return {f"/v1/{name}": {"GET": _page(question)} for name, question in questions.items()}


def checked(parameters: Parameters, known: Set[str] = NONE, needed: Set[str] = NONE) -> Parameters:
    """The parameters, if all are known and the needed ones are there. Raises BadQuestion."""
    if unknown := parameters.keys() - known - needed:
        raise BadQuestion(
            f'unknown parameter "{min(unknown)[:60]}"; there are {", ".join(sorted(known | needed)) or "none"}'
        )
    if missing := needed - parameters.keys():
        raise BadQuestion(f'expected the parameter "{min(missing)}"')
    return parameters


def _page(question: Question) -> Page:
    def page(request: HTTPRequest) -> HTTPAnswer:
        try:
            return json_answer(question(_parameters(request.query)))
        except BadQuestion as error:
            return json_answer({"error": str(error)}, 400)
        except NotHere as error:
            return json_answer({"error": str(error)}, 404)
        except TimeoutError as error:
            return json_answer({"error": str(error)}, 503)

    return page


def _parameters(query: str) -> Parameters:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise BadQuestion(f"expected NAME=VALUE&NAME=VALUE…: {error}") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise BadQuestion("expected each parameter once")
    return parameters
