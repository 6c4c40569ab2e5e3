"""Settings, read from the environment, then `.env`, then `.relink/env`, then the defaults below."""

from __future__ import annotations

from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal

from dotenv import load_dotenv
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


_SHORTEST_KEY = 32
_EXAMPLES = {
    "RELINK_DATABASE_URL": "postgresql://user:password@host:5432/database",
    "RELINK_SECRET_KEY": "at least 32 random characters: openssl rand -hex 32",
    "RELINK_PUBLIC_URL": "https://relink.example.com",
    "RELINK_SMTP_URL": "smtp://user:password@host:587?tls=starttls",
    "RELINK_OIDC_CLIENT_ID": "relink",
    "RELINK_VIEWERS": "acme.example (addresses, domains, or * for whomever the provider lets in)",
    "RELINK_EMAIL_FROM": "Acme Integrations <integrations@acme.example>",
}


class SettingsError(Exception):
    """A setting is wrong or missing; the message names it and says what to write."""


def _mailbox(text: str) -> str:
    if "@" not in parseaddr(text)[1] or "\n" in text:
        raise ValueError(f"expected a mailbox such as {_EXAMPLES['RELINK_EMAIL_FROM']}")
    return text


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < _SHORTEST_KEY:
        raise ValueError(f"expected {_EXAMPLES['RELINK_SECRET_KEY']}")
    return key


def _each_long_enough(keys: SecretStr) -> SecretStr:
    for key in keys.get_secret_value().split(","):
        _long_enough(SecretStr(key.strip()))
    return keys


class Settings(BaseSettings):
    """Everything that may differ between two installations, except the policy."""

    model_config = SettingsConfigDict(
        env_prefix="RELINK_", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: str | None = None
    secret_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    old_secret_keys: Annotated[SecretStr, AfterValidator(_each_long_enough)] | None = None
    public_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    smtp_url: SecretStr | None = None
    email_from: Annotated[str, AfterValidator(_mailbox)] | None = None

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    product_name: str = "Relink"
    encryption_keys: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_api_url: str = "https://slack.com/api/"
    temporal_ui_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    oidc_issuer: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    operators: str | None = None
    viewers: str | None = None
    policy_file: Path | None = None
    templates_dir: Path | None = None
    probe_allow_private: bool = False
    log_format: Literal["console", "json"] = "console"

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The first signs; what the others signed is still good. Needs secret_key."""
        assert self.secret_key is not None  # whoever asks has insisted on it
        old = self.old_secret_keys.get_secret_value() if self.old_secret_keys else ""
        return (self.secret_key.get_secret_value(), *(key.strip() for key in old.split(",") if old))

    @classmethod
    def load(cls, *required: str) -> Settings:
        """Reads the settings and insists on the named ones.

        `.env` and `.relink/env` of the current folder fill in what the environment lacks, TEMPORAL_* included.

        Raises SettingsError naming every setting that is wrong or missing, and what to write there.
        """
        for file in (".env", ".relink/env"):
            load_dotenv(file, override=False)
        try:
            settings = cls()
        except ValidationError as error:
            problems = [f"RELINK_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
            raise SettingsError("\n".join(problems)) from None
        needed = [*required, *settings._needed_to_sign_in()]
        missing = [f"RELINK_{name.upper()}" for name in needed if getattr(settings, name) is None]
        if missing:
            raise SettingsError(
                "\n".join(f"{name} is not set. Example: {_EXAMPLES.get(name, '…')}" for name in missing)
            )
        return settings

    def _needed_to_sign_in(self) -> list[str]:
        """A provider such as Google lets everybody in: who may see the pages has to be said."""
        if self.oidc_issuer is None:
            return []
        return ["oidc_client_id"] if self.operators else ["oidc_client_id", "viewers"]
