"""The keys with which Teams signs what it delivers, and the tokens made with them."""

import base64
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from tests.fakes.teams.platform import Teams
from tests.fakes.teams.world import Json

ISSUER = "https://api.botframework.com"
TOKEN_LIFE_S = 3_600


class Keys:
    """`roll` brings a new signing key; old ones stay published unless told otherwise."""

    def __init__(self, teams: Teams) -> None:
        self._teams = teams
        self._number = 0
        self.published = [0]
        self.endorsements = ["msteams", "webchat", "skype"]

    def roll(self, *, keep_old: bool = True) -> None:
        self._number += 1
        self.published = [*(self.published if keep_old else []), self._number]

    def jwks(self) -> Json:
        return {"keys": [self._public(number) for number in self.published]}

    def token(
        self,
        *,
        key: int | None = None,
        algorithm: str = "RS256",
        headers: Json | None = None,
        drop: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """
        What comes in the header of a delivery.

        Args:
            key: Another key's number; 9 is one that is never published.
            headers: In place of the token's own.
            drop: Claims left out.
            claims: In place of the true ones.
        """
        number = self._number if key is None else key
        now = int(self._teams.clock.now())
        body: Json = {
            "serviceurl": self._teams.service_url,
            "nbf": now - 300,
            "exp": now + TOKEN_LIFE_S,
            "iss": ISSUER,
            "aud": self._teams.app_id,
        } | claims
        for name in drop:
            body.pop(name, None)
        head = {"kid": _kid(number), "x5t": _kid(number)} | (headers or {})
        head = {name: value for name, value in head.items() if value is not None}
        if algorithm == "none":
            return jwt.encode(body, "", algorithm="none", headers=head)
        if algorithm.startswith("HS"):
            return jwt.encode(body, "a shared secret of thirty-two chars", algorithm, headers=head)
        return jwt.encode(body, _key(number), algorithm, headers=head)

    def _public(self, number: int) -> Json:
        numbers = _key(number).public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": _kid(number),
            "x5t": _kid(number),
            "n": _encoded(numbers.n),
            "e": _encoded(numbers.e),
            "endorsements": list(self.endorsements),
        }


def _kid(number: int) -> str:
    return f"signing-key-{number}"


@cache
def _key(number: int) -> RSAPrivateKey:
    """Made once for all doubles of a process: making one takes a tenth of a second."""
    return generate_private_key(public_exponent=65_537, key_size=2_048)


def _encoded(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
