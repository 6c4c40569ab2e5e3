"""The API on a database of its own."""

from tests.api.conftest import apart, api, shared

__all__ = ["apart", "api", "shared"]
