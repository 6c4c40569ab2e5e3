"""How long a comparison with a secret takes says nothing about it: all of them are hmac.compare_digest's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for folder in ("activities", "starter") for path in (ROOT / folder).rglob("*.py"))
# What is compared with something that a stranger sent.
TELLING = {"mac", "hmac", "digest", "signature", "token", "secret", "password", "api_key", "key_hash"}
# Both sides are ours, or a part of a request that is no secret.
HARMLESS = {
    "starter/embedded/slack/api.py",  # a stand-in for tests and this machine, with a token that opens nothing
    "activities/links.py",  # the spelling of a token is compared with itself; its signature is not compared so
    "starter/embedded/home.py",  # which settings a shell has read in
}


def _name(side: ast.expr) -> str:
    """What a side of a comparison is called in the end: `mac` of `self._mac(…).hex()`."""
    match side:
        case ast.Name():
            return side.id
        case ast.Call(func=ast.Attribute(attr="hex" | "encode" | "decode" | "lower" | "strip", value=inner)):
            return _name(inner)
        case ast.Call():
            return _name(side.func)
        case ast.Attribute():
            return side.attr
    return ""


def _suspicious(code: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) for side in sides):
            continue  # with a word of ours
        if any(_name(side).lower().strip("_") in TELLING for side in sides):
            found.append(ast.unparse(node))
    return found


def test_no_secret_is_compared_in_a_telling_time() -> None:
    found = {str(path.relative_to(ROOT)): _suspicious(path.read_text()) for path in FILES}
    assert {path: found[path] for path in found if found[path] and path not in HARMLESS} == {}


@pytest.mark.parametrize("code", ["sent == self._secret", "self._mac(x).hex() != sent", "hmac.digest(a, b) != c"])
def test_it_would_be_found(code: str) -> None:
    assert _suspicious(code)
