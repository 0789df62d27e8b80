import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.capsules.redaction import REDACTED, Censor, read_clean, without_spoken

SECRETS = [
    'S3cret"/pass\u00fc',
    "S3cret/abc/def==",
    'it\'s a "q" \\ back',
    "tab\there\nnew",
    "emoji\U0001f600pw",
    "p@ss word+more",
    "ends with\\",
    "50%off%41x&amp;",
]
WRITINGS = {
    "as it is": str,
    "repr": repr,
    "repr of repr": lambda text: repr(repr(text)),
    "ascii": ascii,
    "bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in capitals": lambda text: json.dumps(text).replace("\\u00fc", "\\u00FC"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "address": quote,
    "address, all of it": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "address in an address": lambda text: quote(quote(text)),
    "HTML": html.escape,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 behind a name": lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
    "base64 between": lambda text: base64.urlsafe_b64encode(b"us:" + text.encode() + b":more").decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("write", WRITINGS.values(), ids=WRITINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_however_it_is_written(secret, write):
    cleaned = Censor([secret]).clean(f"before {write(secret)} after")
    assert REDACTED in cleaned
    assert (cleaned[:7], cleaned[-6:]) == ("before ", " after")
    assert len(cleaned) < len(REDACTED) + 28


@given(st.text(min_size=8, max_size=20).filter(lambda text: text.strip("\\%")), st.sampled_from(list(WRITINGS.values())[:14]))
def test_so_is_any_other(secret, write):
    try:
        written = write(secret)
    except UnicodeEncodeError:
        return
    assert REDACTED in Censor([secret]).clean(written)


def test_of_secrets_one_in_the_other_or_over_the_other_nothing_is_left():
    censor = Censor(["hunter2", "hunter22", "2-and-more"])
    assert censor.clean("hunter2, hunter22, hunter2-and-more, xhunter2x") == f"{REDACTED}, {REDACTED}, {REDACTED}, x{REDACTED}x"


def test_short_secrets_blank_no_other_words():
    assert Censor(["abc", "a", ""]).clean("an abc of it") == "an abc of it"
    assert Censor(["user"]).clean("users: user, username") == f"users: {REDACTED}, username"
    assert Censor(["8812"]).clean("pin8812") == f"pin{REDACTED}"


def test_other_text_stays_as_it_is_written():
    for text in ("", "a\\u00fc %41 \\ %", "\ud83d \udcff", "plain"):
        assert Censor(["hunter2-hunter2"]).clean(text) == text


def test_what_a_secret_is_made_of_is_one_too():
    key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nabcdefghijklmnop\n-----END KEY-----"
    censor = Censor(
        ["Bearer abc.def.ghi", "sid=0123456789; theme=dark", "Basic " + base64.b64encode(b"u:pass-word").decode(), key]
    )
    for text in ("abc.def.ghi", "0123456789", "pass-word", "abcdefghijklmnop"):
        assert censor.clean(f"<{text}>") == f"<{REDACTED}>"
    assert censor.clean("dark BEGIN KEY") == "dark BEGIN KEY"


@pytest.mark.parametrize(
    ("text", "redacted", "names"),
    [
        ("Authorization: Bearer abc123-456def ok", f"Authorization: Bearer {REDACTED} ok", ["credentials (in a header)"]),
        (
            "postgres://u:p%40ss@host, redis://:s3cret@h",
            f"postgres://u:{REDACTED}@host, redis://:{REDACTED}@h",
            ["password (in an address)"] * 2,
        ),
        ("GET /a?n=1&api_key=k1&m=2", f"GET /a?n=1&api_key={REDACTED}&m=2", ["api_key (in an address)"]),
        ("password=p&user=u", f"password={REDACTED}&user=u", ["password (in an address)"]),
    ],
)
def test_what_a_text_calls_a_secret_itself_is_one(text, redacted, names):
    assert without_spoken(text)[:2] == (redacted, names)
    assert without_spoken(redacted) == (redacted, [], [])
    assert Censor(()).clean(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        *("http://host:80/ me@host", "x://user:password@host", "x://user:{pw}@host", "x://u:%s@host", "http://h/a:b@c"),
        *("Basic understanding of a Bearer of news", "?token={self.token}", 'url + "?token=" + token', "self.password = payload"),
    ],
)
def test_what_only_looks_so_is_left_alone(text):
    assert without_spoken(text) == (text, [], [])


def test_of_one_at_the_end_of_what_is_read_no_half_is_left():
    censor = Censor(["hunter2-hunter2"])
    for most in range(900, 1016):
        assert "hunter" not in read_clean("x" * 1000 + "hunter2-hunter2", most, censor)
    assert read_clean("x" * 1000, 500, Censor(())) == "x" * 500
