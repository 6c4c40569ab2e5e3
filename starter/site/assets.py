"""Style sheets and scripts, each at an address that names its content: a browser asks for it once.

`vendor/` holds other people's, as their npm packages ship them, with their licences.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from activities.rendering import Renderer

_OURS = Path(__file__).parent / "assets"
_VENDORED = _OURS / "vendor"
_SHEETS = ("relink.css", "figures.css", "site/site.css")  # of templates/pages: RELINK_TEMPLATES_DIR may bring others


@dataclass(frozen=True)
class Asset:
    """`address` is below /static."""

    address: str
    content: bytes
    media_type: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Asset:
        stem, dot, ending = name.rpartition(".")
        hashed = hashlib.sha256(content).hexdigest()[:12]
        return cls(f"{stem}.{hashed}{dot}{ending}", content, mimetypes.types_map[f".{ending}"])


class Assets:
    """All of them, read once; a template names one by `asset("site.css")`."""

    def __init__(self, renderer: Renderer) -> None:
        scripts = [*_OURS.glob("*.js"), *_VENDORED.glob("*.js"), *_VENDORED.glob("*.css")]
        files = {path.name: path.read_bytes() for path in scripts}
        sheets = {Path(name).name: renderer.stylesheet(name).encode() for name in _SHEETS}
        self._named: Mapping[str, Asset] = {name: Asset.of(name, content) for name, content in (files | sheets).items()}
        self._at = {asset.address: asset for asset in self._named.values()}

    def address(self, name: str) -> str:
        """Raises KeyError for a name that is no asset's."""
        return self._named[name].address

    def at(self, address: str) -> Asset | None:
        return self._at.get(address)
