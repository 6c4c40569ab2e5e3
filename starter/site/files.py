"""What the pages load: style sheets and scripts."""

from __future__ import annotations

from fastapi import APIRouter, Response

from starter.api.problems import Problem
from starter.api.resources import Use

router = APIRouter(include_in_schema=False)
_FOREVER = "public, max-age=31536000, immutable"  # an address names its content, so it never changes


@router.get("/static/relink.css")
async def stylesheet(use: Use) -> Response:
    """The customers' pages': its own colours are at its top; RELINK_TEMPLATES_DIR may bring another."""
    return Response(
        use.renderer.stylesheet(),
        media_type="text/css; charset=utf-8",
        headers={"Cache-Control": "public, max-age=300"},
    )


@router.get("/static/{address}")
async def asset(address: str, use: Use) -> Response:
    """Of the staff's pages."""
    found = use.assets.at(address)
    if found is None:
        raise Problem(404, "there is no such file")
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": _FOREVER})
