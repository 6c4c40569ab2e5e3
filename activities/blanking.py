"""Credentials in the texts of others: what a provider or a product says about a failure is kept, its tokens are not."""

from __future__ import annotations

import re
from collections.abc import Collection

STORED_CHARACTERS = 4_000
_LOOKED_AT = 2 * STORED_CHARACTERS  # a token that begins in what is kept ends in here
_BLANK = "[secret]"
# Between a name and its value, also in JSON that is a text of JSON, and in an address that is a part of one.
_IS = r"""\\{0,7}["']?\s{0,3}(?:[:=]|%3D)\s{0,3}\\{0,7}["']?"""
_CHARACTER = r"""(?:\\{1,2}/|[^"'&\s<>,}\\])"""
_NAMED = re.compile(
    r"""(["']?\b[\w-]{0,20}(?:access_?token|refresh_?token|id_token|client_?secret|password|passwd|api[_-]?key)"""
    rf"""(?:{_IS}|>))({_CHARACTER}{{4,}})""",
    re.IGNORECASE,
)
# Names that are also words of a sentence ("token: expired"): only what looks like a token behind them is one.
_PERHAPS_NAMED = re.compile(
    rf"""(["']?\b[\w-]{{0,20}}(?:token|secret|assertion|signature|session|code){_IS})"""
    rf"""((?={_CHARACTER}{{0,200}}\d){_CHARACTER}{{16,}})""",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b((?:Bearer|Basic|Token)\s{1,3})((?=\S{0,200}\d)[\w.~+/-]{12,}=*)", re.IGNORECASE)
_SCHEMES = {"bearer", "basic", "digest", "negotiate", "token", "apikey"}
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
_PREFIXED = re.compile(  # as their issuers mark them, so that they are found where they should not be
    r"\b(?:xox[a-z]-|xapp-|gh[opsur]_|github_pat_|glpat-|[sr]k_(?:live|test)_|whsec_|ya29\.|shp(?:at|ca|pa|ss)_|AKIA"
    r"|relink_)[\w.+/=-]{8,}"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?")
_IN_AN_ADDRESS = re.compile(r"(://)[^\s/@:]{1,200}:[^\s/@]{1,200}@")


def blanked(text: str, secrets: Collection[str] = ()) -> str:
    """The text as it may be kept: cut to 4,000 characters, without these secrets and without what looks like one."""
    text = text[:_LOOKED_AT]
    words = {word for secret in secrets for word in secret.split() if word.lower() not in _SCHEMES}
    for secret in sorted({*secrets, *words}, key=len, reverse=True):
        if len(secret) >= 6:  # shorter ones could be any word
            text = text.replace(secret, _BLANK)
    for named in (_NAMED, _PERHAPS_NAMED, _AUTHORIZATION):
        text = named.sub(rf"\1{_BLANK}", text)
    for whole in (_JWT, _PREFIXED, _PRIVATE_KEY):
        text = whole.sub(_BLANK, text)
    return _IN_AN_ADDRESS.sub(rf"\1{_BLANK}@", text)[:STORED_CHARACTERS]
