"""The API as in its own tests."""

from tests.api.conftest import apart, api, shared

__all__ = ["apart", "api", "shared"]
