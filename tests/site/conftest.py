"""The API's fixtures serve its pages too."""

from tests.api.conftest import apart, api, shared

__all__ = ["apart", "api", "shared"]
