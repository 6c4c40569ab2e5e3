"""Playbooks are data: a mistake in one is found when it is loaded, and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from activities.playbooks import CatalogueError
from activities.playbooks.loader import DIRECTORY, read_catalogue
from workflows.domain.failure_body import Evidence, Surface
from workflows.domain.phrase import compile_phrase
from workflows.domain.playbook import When


@pytest.fixture
def playbooks(tmp_path: Path) -> Path:
    shutil.copytree(DIRECTORY / "common", tmp_path / "common")
    return tmp_path


def test_the_shipped_ones_are_right() -> None:
    """Every file of the directory is read and checked."""
    catalogue = read_catalogue(DIRECTORY)
    assert len(catalogue.playbooks) == len(list(DIRECTORY.glob("*.yaml")))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name: A\nrulez: []", "rulez"),
        ("name: A\nrules:\n  - when: {code: [x]}\n    then: {category: nonsense}", "rules.0.then.category"),
        ("name: A\nrules:\n  - when: {code: [3100]}\n    then: {category: unknown}", "rules.0.when.code"),
        ("name: A\nrules:\n  - when: {status: 9xx}\n    then: {category: unknown}", "rules.0.when.status"),
        ("name: A\nrules:\n  - when: {text: ['(a+)+$']}\n    then: {category: unknown}", "rules.0.when.text.0"),
        ("name: A\nrules:\n  - when: {}\n    then: {category: unknown}", "rules.0"),
        (
            "name: A\nrules:\n  - when: {code: [x]}\n    then: {category: unknown, who: provider, reconnect: true}",
            "rules.0.then",
        ),
        ("name: A\ntexts:\n  nonsense: {reason: x}", "texts.nonsense"),
        ("name: A\nimpact: ['{nonsense} stopped']", "nonsense"),
        ("name: A\nplaces: {nonsense: x}", "nonsense"),
        ("name: A\nname: B", "given twice"),
        ("name: [", "a.yaml"),
        ("- 1", "a.yaml"),
    ],
)
def test_a_mistake_is_named_with_its_file(playbooks: Path, text: str, named: str) -> None:
    """File and key, so that whoever wrote it finds it."""
    (playbooks / "a.yaml").write_text(text)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(playbooks)
    assert "a.yaml" in str(caught.value)
    assert named in str(caught.value)


def test_two_playbooks_cannot_share_a_name(playbooks: Path) -> None:
    """Otherwise the order of the files would decide."""
    (playbooks / "a.yaml").write_text("name: A\naliases: [same]")
    (playbooks / "b.yaml").write_text("name: B\nintegration_types: {same: }")
    with pytest.raises(CatalogueError, match="same"):
        read_catalogue(playbooks)


def test_missing_common_words_are_named(playbooks: Path) -> None:
    """`common/` has to cover every category, state and person."""
    path = playbooks / "common" / "service.yaml"
    path.write_text(path.read_text().replace("  unknown:\n", "  unknwon:\n"))
    with pytest.raises(CatalogueError, match="categories"):
        read_catalogue(playbooks)


def test_common_words_are_given_once(playbooks: Path) -> None:
    """Otherwise the order of the files would decide."""
    (playbooks / "common" / "more.yaml").write_text("categories: {unknown: {}}")
    with pytest.raises(CatalogueError, match="unknown is also in another file"):
        read_catalogue(playbooks)


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("rate limit", "your rate_limit is reached", True),
        ("rate limit", "corporate limits", False),
        ("ip restricted", "zip restricted", False),
        ("token ... expired", "the token has just expired", True),
        ("token ... expired", "the token | expired", False),
        ("(user|member) ... (gone|left)", "this member has left", True),
        ("account( was)? closed", "account was closed", True),
        ("account( was)? closed", "account closed", True),
        ("expired #### days", "expired 1988 days", True),
        ("expired #### days", "expired 19 days", False),
    ],
)
def test_phrases(phrase: str, text: str, found: bool) -> None:
    """Words from where they begin, choices, options, digits, and gaps that do not leave the message."""
    assert compile_phrase(phrase).found_in(text) is found


def test_a_rule_holds_only_if_all_of_it_does() -> None:
    """Surface, status, code and words are asked together; within one list any item is enough."""
    when = When.model_validate(
        {"surface": "rest_api", "status": ["4xx"], "code": ["a_b", "c"], "text": "gone", "unless": "not gone"}
    )
    evidence = Evidence(Surface.REST_API, 404, frozenset({"ab"}), "it is gone")
    assert when.holds(evidence)
    assert not when.holds(Evidence(Surface.SAML, 404, frozenset({"ab"}), "it is gone"))
    assert not when.holds(Evidence(Surface.REST_API, 500, frozenset({"ab"}), "it is gone"))
    assert not when.holds(Evidence(Surface.REST_API, 404, frozenset(), "it is gone"))
    assert not when.holds(Evidence(Surface.REST_API, 404, frozenset({"ab"}), "it is not gone"))
