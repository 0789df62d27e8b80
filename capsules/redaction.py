"""What looks secret by its name, and JSON and text without it. Pure: it finds and replaces, and keeps nothing.

Nothing here asks an object of the program's for anything: what is no plain value is told by its type alone. A text is brought to
a plain form, in which an escape is the character that it stands for: of `repr`, of JSON in any dialect, of an address, of HTML,
of UTF-8, and within one another. A secret is brought to it too, and looked for there; what is found is taken out of the text as
it was written.
"""

import base64
import json
import re
from collections.abc import Iterable
from enum import EnumMeta
from functools import cached_property, lru_cache
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


def looks_secret(name: Any) -> bool:
    """Whether what stands under such a name is better not shown."""
    kind: Any = type(name)
    if isinstance(kind, EnumMeta) and not issubclass(kind, str):
        name = object.__getattribute__(name, "_name_")
        kind = type(name)
    if issubclass(kind, str):
        return _looks_secret(str.__str__(name))
    return issubclass(kind, bytes) and _looks_secret(bytes.decode(name, "latin-1"))


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
    names, secrets = _found(value, within)
    if not names:
        return None
    redacted = _PAIR.sub(_without_value, text)
    if _found(_read(redacted), within)[0]:
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


def _found(value: Any, within: int) -> tuple[list[str], list[str]]:
    """The names of secrets, and themselves. One after another, not one within another: JSON may be as deep as Python can read."""
    names: list[str] = []
    secrets: list[str] = []
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
    return names, secrets


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


SHORTEST = 4
"""A shorter secret would be found by chance in any text: it is not looked for."""

# A shorter one is looked for as a word of its own: `user` may be somebody's password, and is no reason to blank `users`.
_SHORT_WORD = 8

# A shorter one is not looked for in base64 and in hexadecimal.
_SHORTEST_TO_ENCODE = 6

_MOST_TO_ENCODE = 1_000  # secrets; of more, that would take seconds

_MOST_FOR_ONE = 12  # characters that an escape within an escape takes for one

_MOST_LAYERS = 10  # of escapes within escapes

_ESCAPE = re.compile(
    r"\\u(?P<u>[0-9a-fA-F]{4})|\\U(?P<U>[0-9a-fA-F]{8})|\\x(?P<x>[0-9a-fA-F]{2})|%(?P<percent>[0-9a-fA-F]{2})|\\(?P<char>.)"
    r"|&(?:#(?P<decimal>[0-9]{1,7})|#[xX](?P<hex>[0-9a-fA-F]{1,6})|(?P<name>amp|lt|gt|quot|apos));"
    "|(?P<utf8>[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    "|(?P<pair>[\ud800-\udbff][\udc00-\udfff])",
    re.DOTALL,
)
_CHARS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_HTML = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_UNFINISHED = re.compile(r"(?:\\+|%[0-9a-fA-F]?)$")  # what follows would be taken for the rest of an escape

# As in `Authorization: Bearer ...`, a cookie, and an address that says who.
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9-]*\s+(\S{6,})\s*")
_COOKIE = re.compile(r"=\s*([^;,=\s]{6,}={0,2})")
# What a text says itself of a secret in it: `scheme://user:password@host`, `?token=...&` or the form of it, `Bearer ...`.
_SPOKEN = re.compile(
    r"(?P<user>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/?#\s:@]{0,500}:)(?P<password>[^/?#\s@]+)(?=@)"
    r"|(?P<before>^|[?&])(?P<key>[A-Za-z0-9_.~%-]+)=(?P<value>[^&#\s\"'<>]+)"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)(?=\S*[0-9=]|\S{20})(?P<credentials>[A-Za-z0-9._~+/=-]{8,})"
)


def may_speak(text: str) -> bool:
    """Whether `without_spoken` may find something: most texts are quickly seen to have none."""
    return "=" in text or "://" in text or "earer " in text or "asic " in text


def without_spoken(text: str) -> tuple[str, list[str], list[str]]:
    """The text without what it calls a secret itself; the names of those, and themselves."""
    names: list[str] = []
    secrets: list[str] = []

    def put(found: "re.Match[str]") -> str:
        kind = found.lastgroup
        assert kind is not None
        secret = found[kind]
        if kind == "value" and not looks_secret(found["key"]):
            return found[0]
        if _PLACEHOLDER.match(secret) or (kind == "password" and looks_secret(secret)):
            return found[0]
        names.append("credentials (in a header)" if kind == "credentials" else f"{found['key'] or 'password'} (in an address)")
        secrets.append(secret)
        return f"{found[0].removesuffix(secret)}{REDACTED}"

    return _SPOKEN.sub(put, text) if may_speak(text) else text, names, secrets


_PLACEHOLDER = re.compile(r"[{<$*\[]|%s$|\.{3}")


def with_parts(secret: str) -> set[str]:
    """The secret, and what of it may be written without the rest: the token of a header, the lines of a key."""
    parts = {secret, *without_spoken(secret)[2]}
    if scheme := _SCHEME.fullmatch(secret):
        parts |= {scheme[1], *_of_basic(scheme[1])}
    if ";" in secret or "=" in secret:
        parts.update(_COOKIE.findall(secret))
    if "\n" in secret:
        parts.update(line.strip() for line in secret.split("\n") if len(line.strip()) >= _SHORT_WORD and "-----" not in line)
    return parts


def _of_basic(text: str) -> set[str]:
    try:
        return {base64.b64decode(text, validate=True).decode().partition(":")[2]}
    except ValueError:
        return set()


class Censor:
    """Takes the same secrets out of many texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        whole = {part for secret in secrets for part in with_parts(secret) if len(part) >= SHORTEST}
        self.longest = max(map(len, whole), default=0)
        """How many characters the longest one has."""
        self._whole = whole

    @cached_property
    def _forms(self) -> set[str]:
        encodes = len(self._whole) <= _MOST_TO_ENCODE
        return {form for secret in self._whole for form in _forms(secret, encodes=encodes) if len(form) >= SHORTEST}

    def whole(self, text: str) -> str:
        """What stands in the place of the text, if it is one of them."""
        return REDACTED if text in self._whole else text

    def clean(self, text: str) -> str:
        """The text without them."""
        return without_spoken(self._without_forms(text) if self._forms else text)[0]

    def _without_forms(self, text: str) -> str:
        plain, places = _plain(text)
        spans = sorted((places[start], places[end]) for form in self._forms for start, end in _places_of(form, plain))
        pieces, done = [], 0
        for start, end in spans:
            if start >= done:
                pieces += [text[done:start], REDACTED]
            done = max(done, end)
        return "".join(pieces) + text[done:]


def read_clean(text: str, most: int, censor: Censor) -> str:
    """The beginning of the text, without the secrets: one that is cut at the end of so many characters leaves no half behind."""
    if len(text) <= most:
        return censor.clean(text)
    cleaned = censor.clean(text[:most])
    return cleaned[: max(0, len(cleaned) - _MOST_FOR_ONE * censor.longest)]


def _places_of(form: str, plain: str) -> Iterable[tuple[int, int]]:
    is_word = len(form) < _SHORT_WORD and form.isalpha()
    start = plain.find(form)
    while start >= 0:
        end = start + len(form)
        if not (is_word and (plain[start - 1 : start].isalnum() or plain[end : end + 1].isalnum())):
            yield start, end
        start = plain.find(form, start + 1)


def _forms(secret: str, *, encodes: bool) -> set[str]:
    forms = {_UNFINISHED.sub("", _plain(secret)[0])}
    if encodes and len(secret) >= _SHORTEST_TO_ENCODE:
        data = secret.encode("utf-8", "surrogatepass")
        forms |= {data.hex(), data.hex().upper()}
        for before in range(3):  # what stands before it decides how its bits fall
            coded = base64.b64encode(b"\0" * before + data).decode()[(8 * before + 5) // 6 :].rstrip("=")
            whole = coded[: len(coded) - 1] if (before + len(data)) % 3 else coded
            forms |= {_plain(whole)[0], _plain(whole.replace("+", "-").replace("/", "_"))[0]}
    return forms


def _plain(text: str) -> tuple[str, list[int]]:
    """The plain form, and where each of its characters begins in the text; last, where the text ends."""
    places = list(range(len(text) + 1))
    for _ in range(_MOST_LAYERS):
        pieces: list[str] = []
        after: list[int] = []
        done = 0
        for found in _ESCAPE.finditer(text):
            start, end = found.span()
            pieces += [text[done:start], char := _char(found)]
            after += places[done:start]
            after += places[start : start + len(char)]
            done = end
        if not done:
            break
        before, text = text, "".join(pieces) + text[done:]
        places = after + places[done:]
        if text == before:
            break
    return text.replace("+", " "), places


def _char(found: "re.Match[str]") -> str:
    kind = found.lastgroup
    assert kind is not None
    written = found[kind]
    if kind == "char":
        return _CHARS.get(written, written)
    if kind == "name":
        return _HTML[written]
    try:
        if kind == "utf8":
            return written.encode("latin-1").decode()
        if kind == "pair":
            return written.encode("utf-16", "surrogatepass").decode("utf-16")
        return chr(int(written, 10 if kind == "decimal" else 16))
    except (ValueError, OverflowError):  # it only looks like one
        return found[0]
