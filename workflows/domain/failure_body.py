"""What a failed call looked like, and the evidence that can be read from it.

Providers answer in JSON (flat, nested, inside a string, cut off), forms, query strings, XML, SOAP, HTML pages, headers
and library exceptions. All of them are reduced to one `Evidence`: a status, the machine-readable codes, and plain text.
Nothing here raises, and everything is capped, because the input is whatever a stranger's server sent.
"""

from __future__ import annotations

import html
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict

BODY_CAP = 64_000  # characters that are read at all; what is longer is a page or an attack, and its start tells which
TEXT_CAP = 6_000  # characters that phrases are matched against
PIECE_CAP = 2_000  # of one message, so that a long first one cannot push the others out
NODE_CAP = 2_000  # JSON values that are visited


class Surface(StrEnum):
    """Where the failure was met."""

    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105  (a place, not a secret)
    REST_API = "rest_api"
    WEBHOOK = "webhook"
    SAML = "saml"
    OIDC = "oidc"
    NETWORK = "network"


def _as_text(body: object) -> object:
    """A body that was handed over as JSON instead of as its text means the same."""
    return json.dumps(body, ensure_ascii=False) if isinstance(body, dict | list) else body


class Failure(BaseModel):
    """One failed call as the product, a probe or `relink diagnose` saw it. All of it is untrusted."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    provider: str | None = None
    surface: Surface | None = None
    http_status: int | None = None
    error_code: str | None = None
    error_description: str | None = None
    body: Annotated[str | None, BeforeValidator(_as_text)] = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What rules are matched against. `codes` are in the form of `code_key`; `text` is lower case and single-spaced."""

    surface: Surface
    status: int | None
    codes: frozenset[str]
    text: str


# A JSON value under a key that ends like this names the error, if it contains no blanks.
_CODE_KEYS = (
    "code", "codes", "error", "errors", "reason", "type", "status", "tag", "category", "title", "name", "fault",
    "summary", "detail", "message", "messages", "exception", "kind", "state", "value",
)  # fmt: skip
_FLAG_KEYS = ("failure", "error", "suspended", "disabled", "revoked", "expired", "challenge", "transient")

_LOOSE_PAIR = re.compile(
    r"""\b(error_?code|error_?subtype|sub_?error|error|code|reason|exceptioncode|faultcode|status_?code)\b"""
    r"""["']?[ ]{0,2}[:=>][ ]{0,2}["'\[]{0,2}([\w.:/-]{2,90})""",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"\b(?:AADSTS\d{4,8}|urn:[\w.:-]{5,120}|[A-Za-z][A-Za-z0-9]{0,30}(?:_[A-Za-z0-9]{1,30}){1,8}"
    r"|(?<==> )[A-Z][A-Za-z]{5,40}|E[A-Z]{4,20}|EAI_[A-Z]{4,12}|E\d{7})\b"
)
_STATUS_IN_TEXT = (
    re.compile(r"(?:status[ _]?(?:code)?|http(?:/\d(?:\.\d)?)?|response(?: code)?|error)[ =:'\"(]{1,4}([1-5]\d\d)"
               r"(?!\d)"),
    re.compile(r"\b(?:returned|returns|responded|answered|received|said|got|non-2xx)(?: with)?(?: an?)?(?: http)?"
               r"(?: status)?(?: code)?[ :]{1,2}([345]\d\d)\b(?!\.)"),
    re.compile(r"\(([345]\d\d)\)"),
    re.compile(r"^[^a-z0-9]{0,3}([45]\d\d)\b(?!\.)"),
    re.compile(r"\b([45]\d\d) (?:client error|server error|unauthorized|forbidden|bad request|not found|too many|gone"
               r"|internal server|bad gateway|service unavailable|gateway time)"),
)  # fmt: skip
_COMPOUND = re.compile(r"\b[A-Za-z0-9]{0,60}[a-z0-9][A-Z][A-Za-z0-9]{1,60}\b")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_XML_VALUE = re.compile(r"<(?:[\w-]{1,30}:)?([\w.-]{1,60})(?:\s[^<>]{0,300})?>([^<>]{1,600})</")
_XML_ATTRIBUTE = re.compile(r"\b(code|value|errorcode|statuscode|type)=[\"']([^\"'<>]{1,200})[\"']", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,1000}>")
_SCRIPT = re.compile(r"<(script|style)\b", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " ", "`": "'"})


def code_key(code: str) -> str:
    """One spelling for `rateLimitExceeded`, `RATE_LIMIT_EXCEEDED` and `rate-limit-exceeded`; `003100` is `3100`."""
    key = "".join(character for character in code.casefold() if character.isalnum())
    return key.lstrip("0") or "0" if key.isdigit() else key


def read_evidence(failure: Failure) -> Evidence:
    """Reads every part of the failure. Never raises; linear in the (capped) input."""
    found = _Findings()
    for field in (failure.error_code, failure.error_description):
        if field and field.strip():
            found.add_text(field)
    if failure.error_code:
        found.add_code(failure.error_code)
    if failure.body:
        found.read_body(failure.body[:BODY_CAP])
    text = found.text()
    found.read_text(text)
    text += _spelled_out(text)
    status = failure.http_status
    if status is None or status < 300:
        status = found.status or _status_in(text) or status
    text = text.casefold()
    surface = failure.surface or _likely_surface(found.codes, text)
    return Evidence(surface, status, frozenset(found.codes), text)


def _spelled_out(text: str) -> str:
    """The words that codes and exceptions are made of: `EntityOrRoleDisabled` also says "entity or role disabled"."""
    names = dict.fromkeys(_COMPOUND.findall(text))
    return "".join(" | " + " ".join(_WORD.findall(name)) for name in list(names)[:20])


def _likely_surface(codes: set[str], text: str) -> Surface:
    """Events need not name the surface; where it was left out, the vocabulary usually gives it away."""
    if "urn:oasis:names:tc:saml" in text or "saml response" in text:
        return Surface.SAML
    if codes & {"invalidgrant", "invalidclient", "unauthorizedclient", "unsupportedgranttype"} or "aadsts" in text:
        return Surface.TOKEN_ENDPOINT
    return Surface.REST_API


class _Findings:
    def __init__(self) -> None:
        self.codes: set[str] = set()
        self.status: int | None = None
        self._pieces: dict[str, None] = {}

    def text(self) -> str:
        return " | ".join(self._pieces)[:TEXT_CAP]

    def add_text(self, text: str) -> None:
        plain = html.unescape(text[:PIECE_CAP]).translate(_TYPOGRAPHY)
        plain = _BLANKS.sub(" ", plain).replace("(s)", "s").strip()
        if plain and len(self._pieces) < 200:
            self._pieces.setdefault(plain)

    def add_code(self, code: str) -> None:
        code = code.strip()[:200]
        head, _, tail = code.partition("/")  # Dropbox: expired_access_token/..
        for spelling in (code, head if tail.strip("./") == "" else "", code.rpartition(":")[2] if ":" in code else ""):
            key = code_key(spelling)
            if key:
                self.codes.add(key)

    def add_number(self, number: int) -> None:
        if 400 <= number <= 599:
            self.status = self.status or number
        elif 0 <= number < 10**15:
            self.codes.add(str(number))

    def read_body(self, body: str) -> None:
        stripped = body.strip().lstrip("\ufeff")
        if stripped in ("[]", "{}", "null"):
            self.codes.add("emptyanswer")
        document = _json_in(stripped)
        if document is not None:
            self._read_json(document)
            if not stripped.startswith(("{", "[")):
                self.add_text(stripped)
        elif "<" in stripped and ">" in stripped:
            self._read_markup(stripped)
        elif "=" in stripped and not any(c in stripped for c in " {<\n"):
            self._read_form(stripped)
        else:
            self._read_loose(stripped)
            self.add_text(stripped)

    def read_text(self, text: str) -> None:
        self._read_loose(text)
        for token in _TOKEN.finditer(text):
            self.add_code(token.group())

    def _read_loose(self, text: str) -> None:
        for pair in _LOOSE_PAIR.finditer(text[:TEXT_CAP]):
            key, value = pair.groups()
            if _is_number(value):
                if value[0] == "0" or "status" not in key.casefold():
                    self.codes.add(code_key(value))
                self.add_number(int(value))
            else:
                self.add_code(value)

    def _read_form(self, body: str) -> None:
        try:
            fields = parse_qsl(body.lstrip("?#&"), max_num_fields=200)
        except ValueError:
            return self.add_text(body)
        for key, value in fields:
            self._read_value(key, value)
        return None

    def _read_markup(self, body: str) -> None:
        body = _without_scripts(body)
        for name, value in _XML_VALUE.findall(body):
            self._read_value(name, html.unescape(value).strip())
        for _, value in _XML_ATTRIBUTE.findall(body):
            self._read_value("code", value)
        self.add_text(_TAG.sub(" ", body))

    def _read_json(self, document: object) -> None:
        for key, value in _walk(document):
            self._read_value(key, value)

    def _read_value(self, key: str, value: object) -> None:
        name = code_key(key)
        if isinstance(value, bool):
            if value and name.endswith(_FLAG_KEYS):
                self.codes.add(name)
        elif isinstance(value, int):
            if name.endswith(_CODE_KEYS):
                self.add_number(value)
        elif isinstance(value, str) and value.strip():
            self._read_string(name, value)

    def _read_string(self, name: str, value: str) -> None:
        if _is_number(value):
            if name.endswith(_CODE_KEYS):
                self.add_number(int(value))
            return
        if name.endswith(_CODE_KEYS) and len(value) <= 200 and not any(c.isspace() for c in value):
            self.add_code(value)
        self.add_text(value)


def _json_in(text: str) -> object | None:
    """The JSON document that the text is, or that begins inside it (`400 Bad Request: {"error": …}`)."""
    if text.startswith("<"):
        return None
    for start in sorted({text.find("{"), text.find("[")} - {-1}):
        try:
            document: object = json.JSONDecoder().raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue
        if document:
            return document
    return None


def _walk(document: object) -> Iterator[tuple[str, object]]:
    """Every leaf with the key it stands under, breadth first, so that the outer and telling values come first."""
    queue: deque[tuple[str, object]] = deque([("", document)])
    for _ in range(NODE_CAP):
        if not queue:
            return
        key, value = queue.popleft()
        if isinstance(value, dict):
            queue.extend((str(k), v) for k, v in value.items())
        elif isinstance(value, list):
            queue.extend((key, v) for v in value[:100])
        elif isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            inner = _json_in(value.strip())
            if inner is not None:
                queue.append((key, inner))
            yield key, value
        else:
            yield key, value


def _without_scripts(body: str) -> str:
    """Drops script and style elements of an HTML page; their text is code, not a message."""
    parts: list[str] = []
    position = 0
    for opening in _SCRIPT.finditer(body):
        if opening.start() < position:
            continue
        parts.append(body[position : opening.start()])
        end = body.find("</", opening.end())
        position = len(body) if end < 0 else end
    parts.append(body[position:])
    return "".join(parts)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12


def _status_in(text: str) -> int | None:
    lowered = text.casefold()
    for pattern in _STATUS_IN_TEXT:
        match = pattern.search(lowered)
        if match:
            return int(match.group(1))
    return None
