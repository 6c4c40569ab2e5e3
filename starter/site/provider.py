"""Signing in at an OpenID Connect provider: authorization code with PKCE, state and nonce (OpenID Connect Core 3.1)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from pydantic import BaseModel

PATIENCE = 10.0  # seconds for all that is asked of the provider at one step
_log = structlog.get_logger()


class SignInError(Exception):
    """Nobody was signed in; the message tells the person why, and what to do. `status` is 403, or 503: it may pass."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Journey:
    """Somebody on their way to the provider; a signed cookie remembers it for the way back."""

    address: str
    remembered: Mapping[str, str]


class _Claims(BaseModel):
    sub: str
    email: str | None = None
    email_verified: bool | None = None


class Provider:
    """One provider, found by its issuer. All raise SignInError."""

    def __init__(self, issuer: str, client_id: str, client_secret: str | None, return_to: str) -> None:
        self._issuer, self._client_id, self._return_to = issuer, client_id, return_to
        self._app = OAuth().register(  # type: ignore[no-untyped-call]  # authlib has no types
            "provider",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "timeout": PATIENCE},
        )

    async def begin(self) -> Journey:
        """Where to send somebody."""
        async with _asking():
            await self._check_issuer()
            made = await self._app.create_authorization_url(self._return_to)
        return Journey(made["url"], {name: made[name] for name in ("state", "nonce", "code_verifier")})

    async def address_of(self, came_with: Mapping[str, str], remembered: Mapping[str, str]) -> str:
        """The verified address of who came back from there."""
        if not hmac.compare_digest(came_with.get("state", "").encode(), remembered["state"].encode()):
            raise SignInError("This was not the sign-in that you began here. Please try again.")
        if "error" in came_with or not came_with.get("code"):
            raise SignInError("Your identity provider did not let you in. Try again, or ask its administrator.")
        async with _asking():
            token = await self._app.fetch_access_token(
                self._return_to, code=came_with["code"], code_verifier=remembered["code_verifier"]
            )
            claims = await self._claims(token, remembered["nonce"])
        if claims.email is None or claims.email_verified is False:
            raise SignInError("Your identity provider does not vouch for an address of yours; its administrator can.")
        return claims.email

    async def _claims(self, token: dict[str, Any], nonce: str) -> _Claims:
        # Authlib checks the audience only if it is told to.
        expected = {"iss": self._app.server_metadata["issuer"], "aud": self._client_id}
        options = {name: {"essential": True, "value": value} for name, value in expected.items()}
        claims = _Claims.model_validate(await self._app.parse_id_token(token, nonce, options) or {})
        if claims.email is not None:
            return claims
        more = _Claims.model_validate(await self._app.userinfo(token=token))
        return more if more.sub == claims.sub else claims  # Core 5.3.2: another subject's must not be used

    async def _check_issuer(self) -> None:
        """Discovery 4.3: what answers there has to be who it was asked to be."""
        metadata = await self._app.load_server_metadata()
        if metadata.get("issuer", "").rstrip("/") != self._issuer.rstrip("/"):
            _log.error("RELINK_OIDC_ISSUER is not what the provider calls itself", calls_itself=metadata.get("issuer"))
            self._app.server_metadata.clear()
            message = "The identity provider is set up wrongly here. Whoever runs this finds why in its log."
            raise SignInError(message, 503)


@asynccontextmanager
async def _asking() -> AsyncIterator[None]:
    """What may go wrong with the provider, as a sentence; logged by its kind, never with a token or an address."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except (httpx2.HTTPError, OSError) as error:
        _log.warning("the identity provider can't be reached", error=type(error).__name__)
        message = "Your identity provider can't be reached. Please try again in a minute."
        raise SignInError(message, 503) from None
    except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError, RuntimeError) as error:
        _log.warning("the identity provider's answer was refused", error=type(error).__name__)
        raise SignInError("What your identity provider answered can't be trusted. Please try again.") from None
