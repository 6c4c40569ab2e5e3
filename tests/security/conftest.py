"""The API, and people in front of Slack, as in the API's own tests."""

from tests.api.conftest import apart, api, dana, shared, stand_in

__all__ = ["apart", "api", "dana", "shared", "stand_in"]
