"""What looks secret by its name, and text without it. Pure: it finds and replaces, and keeps nothing."""

import json
import re
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
"""What stands where a secret text stood."""

# Parts of names, in lower case and without what is no letter or digit: `X-Api-Key`, `apiKey` and `API_KEY` are one.
_PARTS = (
    *("password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "authorization", "credential", "privatekey"),
    *("accesskey", "signingkey", "encryptionkey", "capsulekey", "cookie", "session", "bearer", "jwt"),
)
_WHOLE = frozenset(("auth", "pin", "otp", "pass"))
_NO_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]+")

# A text in JSON, and the text or number that it is the key of, if it is one's.
_TEXT = r'"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(rf"(?P<key>{_TEXT})(?:(?P<between>\s*:\s*)(?P<value>{_TEXT}|-?\d[\d.eE+-]*))?")

# Limits and counts are named after what they limit; what has less than four digits is soon guessed.
_SMALL = 1000

# A shorter one would be found by chance in any text.
_SHORTEST_TO_FIND = 4


def looks_secret(name: object) -> bool:
    """Whether what stands under such a name is better not shown."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and _looks_secret(name)


@lru_cache(maxsize=10_000)
def _looks_secret(name: str) -> bool:
    plain = _NO_LETTER_OR_DIGIT.sub("", name.lower())
    return plain in _WHOLE or any(part in plain for part in _PARTS)


def may_be_secret(value: object) -> bool:
    """Whether such a value under such a name is one: None, a truth, a number below 1,000 and what is empty are not."""
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, (int, float)):
        return not -_SMALL < value < _SMALL
    return not isinstance(value, (str, bytes, bytearray, list, tuple, dict, set, frozenset)) or len(value) > 0


def redact_json(text: str) -> tuple[str, list[str], list[str]] | None:
    """The text without the secrets in it, the names of their keys, and themselves; None where nothing is to be done.

    Everything else in the text stays as it is written, unless a secret is an object or a list. Text within text is not read.
    """
    if text[:1] not in "{[" and text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    names: list[str] = []
    secrets: list[str] = []
    if not _find(value, names, secrets):
        return None
    redacted = _PAIR.sub(_without_value, text)
    if _find(json.loads(redacted), [], []):  # a whole object was one
        redacted = json.dumps(_without(json.loads(redacted)), ensure_ascii=False)
    return redacted, names, secrets


def redact_text(text: str, secrets: set[str]) -> str:
    """The text without these secrets, as they are and as `repr` writes them."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_TO_FIND:
            for shape in (secret, repr(secret)[1:-1]):
                text = text.replace(shape, REDACTED)
    return text


def _find(value: Any, names: list[str], secrets: list[str]) -> bool:
    if isinstance(value, dict):
        for key, inner in value.items():
            if looks_secret(key) and may_be_secret(inner) and inner != REDACTED:
                names.append(key)
                secrets += _leaves(inner)
            else:
                _find(inner, names, secrets)
    elif isinstance(value, list):
        for inner in value:
            _find(inner, names, secrets)
    return bool(names)


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [] if isinstance(value, bool) or value is None else [str(value)]


def _without_value(pair: "re.Match[str]") -> str:
    if pair["value"] is None or not looks_secret(json.loads(pair["key"])) or not may_be_secret(json.loads(pair["value"])):
        return pair[0]
    return f'{pair["key"]}{pair["between"]}"{REDACTED}"'


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: REDACTED if looks_secret(key) and isinstance(inner, (dict, list)) and inner else _without(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without(inner) for inner in value]
    return value
