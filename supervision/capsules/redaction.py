"""What looks secret by its name, and JSON without it. Pure: it finds and replaces, and keeps nothing.

Nothing here asks an object of the program's for anything: what is no plain value is told by its type alone.
"""

import json
import re
from enum import EnumMeta
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
# One without an end reaches to the end of all, or each of its quotes would be looked at as the beginning of another.
_TEXT = r'"(?:[^"\\]++|\\(?s:.))*+(?:"|\\?\Z)'
_PAIR = re.compile(rf"(?P<key>{_TEXT})(?:(?P<between>\s*:\s*)(?P<value>{_TEXT}|-?\d[\d.eE+-]*))?")

# Limits and counts are named after what they limit; what has less than four digits is soon guessed.
_SMALL = 1000

# So often JSON may stand within JSON and be looked into.
_MOST_WITHIN = 3

# No more digits are taken for a number: Python refuses to make an int of some thousands.
_LONGEST_NUMBER = 400


def looks_secret(name: object) -> bool:
    """Whether what stands under such a name is better not shown."""
    kind = type(name)
    if isinstance(kind, EnumMeta) and not issubclass(kind, str):
        name = object.__getattribute__(name, "_name_")
        kind = type(name)
    if issubclass(kind, str):
        return _looks_secret(str.__str__(name))
    return issubclass(kind, bytes) and _looks_secret(bytes.decode(name, "latin-1"))  # type: ignore[arg-type]


@lru_cache(maxsize=10_000)
def _looks_secret(name: str) -> bool:
    plain = _NO_LETTER_OR_DIGIT.sub("", name.lower())
    return plain in _WHOLE or any(part in plain for part in _PARTS)


def may_be_secret(value: Any) -> bool:
    """Whether such a value under such a name is one: None, a truth, a number below 1,000 and what is empty are not."""
    kind = type(value)
    if value is None or kind is bool:
        return False
    if kind in (int, float):
        return not -_SMALL < value < _SMALL
    return kind not in _SIZED or len(value) > 0


_SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset)


def redact_json(text: str, within: int = 0) -> tuple[str, list[str], list[str]] | None:
    """The text without the secrets in it, the names of their keys, and themselves; None where nothing is to be done.

    Everything else in the text stays as it is written, unless a secret is an object or a list, or stands in JSON within the JSON.
    Of what only begins like JSON, or is too deep to be read, the pairs of a key and a text or number are looked at.
    """
    if text[:1] not in "{[" and text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        value = _read(text)
    except (ValueError, RecursionError):
        return _redact_pairs(text)
    names: list[str] = []
    secrets: list[str] = []
    _find(value, names, secrets, within)
    if not names:
        return None
    redacted = _PAIR.sub(_without_value, text)
    if _has_more(redacted, within):
        try:
            redacted = json.dumps(_without(_read(redacted), within), ensure_ascii=False)
        except RecursionError:
            redacted = json.dumps(REDACTED)
    return redacted, names, secrets


def _read(text: str) -> Any:
    return json.loads(text.lstrip("\ufeff"), parse_int=_number)


def _number(digits: str) -> int | str:
    return int(digits) if len(digits) < _LONGEST_NUMBER else digits


def _redact_pairs(text: str) -> tuple[str, list[str], list[str]] | None:
    pairs = [pair for pair in _PAIR.finditer(text) if _is_secret_pair(pair)]
    if not pairs:
        return None
    names, secrets = [_of_json(pair["key"]) for pair in pairs], [str(_of_json(pair["value"])) for pair in pairs]
    return _PAIR.sub(_without_value, text), names, secrets


def _has_more(redacted: str, within: int) -> bool:
    names: list[str] = []
    _find(_read(redacted), names, [], within)
    return bool(names)


def _find(value: Any, names: list[str], secrets: list[str], within: int) -> None:
    """One after the other, and not one within the other: JSON may be as deep as Python can read it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, str):
            inner = _redact_within(value, within)
            if inner is not None:
                names += inner[1]
                secrets += inner[2]
        elif isinstance(value, dict):
            for key, item in value.items():
                if looks_secret(key) and may_be_secret(item) and item != REDACTED:
                    names.append(key)
                    secrets += _leaves(item)
            waiting += reversed([item for key, item in value.items() if not (looks_secret(key) and may_be_secret(item))])


def _leaves(value: Any) -> list[str]:
    leaves, waiting = [], [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting += reversed(list(value.values()) if isinstance(value, dict) else value)
        elif not (isinstance(value, bool) or value is None):
            leaves.append(str(value))
    return leaves


def _is_secret_pair(pair: "re.Match[str]") -> bool:
    if pair["value"] is None or not looks_secret(_of_json(pair["key"])):
        return False
    value = _of_json(pair["value"])
    return may_be_secret(value) and value != REDACTED


def _of_json(text: str) -> Any:
    try:
        return _read(text)
    except ValueError:  # it only looks like a text or a number
        return text.strip('"')


def _without_value(pair: "re.Match[str]") -> str:
    return f'{pair["key"]}{pair["between"]}"{REDACTED}"' if _is_secret_pair(pair) else pair[0]


def _redact_within(text: str, within: int) -> tuple[str, list[str], list[str]] | None:
    return redact_json(text, within + 1) if text[:1] in ("{", "[") and within < _MOST_WITHIN else None


def _without(value: Any, within: int) -> Any:
    if isinstance(value, dict):
        return {
            key: REDACTED if looks_secret(key) and isinstance(inner, (dict, list)) and inner else _without(inner, within)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without(inner, within) for inner in value]
    inner = _redact_within(value, within) if isinstance(value, str) else None
    return value if inner is None else inner[0]
