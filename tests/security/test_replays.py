"""What was signed once is worth something once, and only as it was signed."""

from __future__ import annotations

import json

from starter.api.callbacks import webhook_secret
from tests.api.calling import SECRET_KEY, Api, settings_for_tests, with_settings
from tests.api.slack_person import Slack
from tests.api.slack_person import signed as signed_by_slack
from tests.api.test_callbacks import body_for, send, signed

NEW_SECRET = "the next secret of this installation, long enough"


async def test_a_recorded_callback_does_nothing_the_second_time(apart: Api) -> None:
    """Within its five minutes, byte for byte, with and without an event_id of its own."""
    await apart.integration()
    incident = await apart.incident()
    for body in (body_for(apart), body_for(apart, event_id=None)):
        content = json.dumps(body).encode()
        headers = signed(content)
        first = await send(apart, content, headers)
        timeline = await apart.timeline(incident)
        for _ in range(3):
            again = await send(apart, content, headers)
            assert (again.status_code, again.json()) == (202, first.json())
        assert await apart.timeline(incident) == timeline


async def test_a_signature_belongs_to_its_id_its_time_and_its_body(apart: Api) -> None:
    """Parts of two good requests make no third."""
    await apart.integration()
    one, two = json.dumps(body_for(apart)).encode(), json.dumps(body_for(apart)).encode()
    first, second = signed(one), signed(two, at=int(signed(one)["webhook-timestamp"]) - 60)
    for part in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert (await send(apart, one, first | {part: second[part]})).status_code == 401
    assert (await send(apart, two, first)).status_code == 401
    both = first | {"webhook-signature": f"{second['webhook-signature']} {first['webhook-signature']}"}
    assert (await send(apart, one, both)).status_code == 202


async def test_the_secret_of_callbacks_is_rotated_without_a_gap(apart: Api) -> None:
    """The sender changes to the new one at any time while the old key is listed; then the old one is worth nothing."""
    await apart.integration()
    old, new = webhook_secret(settings_for_tests()), webhook_secret(settings_for_tests(secret_key=NEW_SECRET))
    rotating = with_settings(apart, secret_key=NEW_SECRET, old_secret_keys=SECRET_KEY)
    rotated = with_settings(apart, secret_key=NEW_SECRET)
    for api, secret, status in ((rotating, old, 202), (rotating, new, 202), (rotated, new, 202), (rotated, old, 401)):
        content = json.dumps(body_for(apart)).encode()
        assert (await send(api, content, signed(content, secret=secret))).status_code == status


async def test_whoever_signs_is_slowed_down_like_a_key(apart: Api) -> None:
    """A stolen secret is no way around the limit."""
    await apart.integration()
    limited = with_settings(apart)
    throttle = limited.resources.throttle
    content = json.dumps(body_for(apart)).encode()
    assert (await send(limited, content, signed(content))).status_code == 202
    throttle._buckets = {key: (0.0, at + 60) for key, (_, at) in throttle._buckets.items()}
    response = await send(limited, content, signed(content))
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1


async def test_a_recorded_click_does_nothing_the_second_time(dana: Slack) -> None:
    """Slack repeats what it was not answered in time, and so could a thief, for five minutes."""
    incident = await dana.api.incident()
    content = dana.body_of_click("acknowledge", incident)
    headers = signed_by_slack(content)
    async with dana.api.anonymous() as http:
        answers = [await http.post("/slack/interactions", content=content, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert (await dana.api.timeline(incident)).count("acknowledged") == 1
