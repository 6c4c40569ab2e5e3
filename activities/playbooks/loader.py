"""Reads and checks the playbooks. Loading happens on the first call, never on import."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from workflows.domain.playbook import Catalogue, CommonTexts, Playbook

DIRECTORY = Path(__file__).resolve().parent
COMMON = "common"

Model = TypeVar("Model", bound=BaseModel)


class CatalogueError(Exception):
    """A playbook is broken; the message names the file and the key."""


@cache
def load_catalogue() -> Catalogue:
    """The shipped catalogue, read once a process. Raises CatalogueError."""
    return read_catalogue(DIRECTORY)


def read_catalogue(directory: Path) -> Catalogue:
    """The catalogue in a directory. Raises CatalogueError naming the file and the key that is wrong."""
    common = _checked(directory / COMMON, _together(directory / COMMON), CommonTexts)
    playbooks = {path.stem: _checked(path, _read(path), Playbook) for path in sorted(directory.glob("*.yaml"))}
    try:
        return Catalogue.of(common, playbooks)
    except ValueError as error:
        raise CatalogueError(f"{directory}/{error}") from None


def _together(directory: Path) -> dict[str, Any]:
    """The files of a directory as one document; only their `categories` may be spread over several of them."""
    whole: dict[str, Any] = {"categories": {}}
    for path in sorted(directory.glob("*.yaml")):
        part = dict(_read(path))
        for into, found in ((whole["categories"], part.pop("categories", {})), (whole, part)):
            if twice := sorted(set(into) & set(found)):
                raise CatalogueError(f"{path}: {', '.join(twice)} is also in another file")
            into.update(found)
    return whole


def _read(path: Path) -> Any:
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506  (a safe loader)
    except (OSError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path}: {error}") from None


def _checked(path: Path, document: object, model: type[Model]) -> Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise CatalogueError(f"{path}: {wrong}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where it was built
    """A safe loader that refuses a key given twice; YAML's silent "last one wins" hides mistakes in a long file."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping
