"""A wrong setting stops the command at once, naming it, and never repeats a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.email import SmtpServer
from activities.policy import PolicyError, load_policy
from activities.rendering_templates import Templates, TemplatesError
from activities.settings import Settings, SettingsError
from starter.temporal import connect


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from any `.env` or `.relink/env`."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELINK_SECRET_KEY", "too-short"),
        ("RELINK_PUBLIC_URL", "relink.example.com"),
        ("RELINK_EMAIL_FROM", "nonsense"),
        ("RELINK_API_PORT", "eighty"),
        ("RELINK_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as told:
        Settings.load()
    assert "too-short" not in str(told.value)


def test_a_missing_one_is_named_with_an_example() -> None:
    with pytest.raises(SettingsError, match=r"RELINK_DATABASE_URL is not set\. Example: postgresql://"):
        Settings.load("database_url")


def test_an_empty_one_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELINK_SLACK_BOT_TOKEN", "")
    assert Settings.load().slack_bot_token is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TEMPORAL_PROFILE", "nope", "TEMPORAL_PROFILE"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nope", "TEMPORAL_TLS_"),
        ("TEMPORAL_ADDRESS", "foo:bar", "TEMPORAL_ADDRESS"),
    ],
)
async def test_temporals_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told):
        await connect(Settings.load())


def test_files_and_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="RELINK_POLICY_FILE"):
        load_policy(tmp_path / "nope.toml")
    with pytest.raises(TemplatesError, match="RELINK_TEMPLATES_DIR"):
        Templates(tmp_path / "nope")
    with pytest.raises(ValueError, match="RELINK_SMTP_URL"):
        SmtpServer.parse("http://user:secret@host")
