"""The identity of a client's certificate: no name in a certificate can say more than it is."""

import ssl
from typing import Any

import pytest

from proxy.tls.identity import ExpiredError, identity_of, without_identity
from tests.support.certificates import Authority

LATER = "Jan  1 00:00:00 2100 GMT"
HASH = "Hash=9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"  # of aaa


class Shown(ssl.SSLObject):
    """A connection whose peer has shown this certificate, as OpenSSL reads it."""

    def __new__(cls, *_: object) -> "Shown":
        return object.__new__(cls)

    def __init__(self, found: dict[str, Any] | ValueError | None) -> None:
        self._found = found

    def getpeercert(self, binary_form: bool = False) -> Any:
        if isinstance(self._found, ValueError) and not binary_form:
            raise self._found
        return self._found if not binary_form or self._found is None else b"aaa"


def value(**found: Any) -> str:
    line = identity_of(Shown({"notAfter": LATER, "subject": (), **found}))
    assert line.startswith(b"X-Forwarded-Client-Cert: ")
    assert line.count(b"\r\n") == 1
    assert line.endswith(b"\r\n")
    text = line[:-2].decode("ascii").partition(": ")[2]
    assert text.startswith(HASH + ";")
    return text.removeprefix(HASH + ";")


def named(text: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    return ((("commonName", text),),)


def test_a_subject_is_written_last_part_first() -> None:
    subject = (
        (("countryName", "DE"),),
        (("organizationName", "Shop"), ("userId", "7")),
        (("commonName", "a"),),
    )
    assert value(subject=subject) == 'Subject="CN=a,O=Shop+UID=7,C=DE"'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('a";URI=spiffe://b', r"a\22\3BURI\3Dspiffe://b"),
        ("a,O=b+c", r"a\2CO\3Db\2Bc"),
        ("a\r\nX: b", r"a\0D\0AX: b"),
        ("a\\", r"a\5C"),
        (" a ", r"\20a\20"),
        ("#a\0", r"\23a\00"),
        ("é", r"\C3\A9"),
        ("", ""),
    ],
)
def test_no_subject_ends_its_quotes_or_its_line(text: str, written: str) -> None:
    assert value(subject=named(text)) == f'Subject="CN={written}"'


def test_types_of_attributes_are_words() -> None:
    assert value(subject=((("x=y", "a"), ("1.2.3", "b")),)) == 'Subject="unknown=a+1.2.3=b"'


@pytest.mark.parametrize(
    ("kind", "name", "written"),
    [
        ("URI", "spiffe://a/b", ";URI=spiffe://a/b"),
        ("URI", "https://a/?b=c;d,e", ';URI="https://a/?b=c;d,e"'),
        ("URI", 'a:b"c', ""),
        ("URI", "a:b\\", ""),
        ("URI", "a:b\r\nX: c", ""),
        ("URI", "a:b c", ""),
        ("URI", "no-scheme", ""),
        ("DNS", "*.a.example", ";DNS=*.a.example"),
        ("DNS", "a;URI=b:c", ""),
        ("DNS", "a\n", ""),
        ("DNS", "", ""),
        ("email", "a@b.example", ""),
    ],
)
def test_names_that_have_no_place_in_a_url_or_in_dns_are_left_out(kind: str, name: str, written: str) -> None:
    assert value(subjectAltName=((kind, name),)) == 'Subject=""' + written


def test_names_of_other_kinds_are_left_out() -> None:
    assert value(subjectAltName=(("DirName", named("a")), ("DNS", "a"))) == 'Subject="";DNS=a'


def test_what_makes_the_line_too_long_is_left_out() -> None:
    names = tuple(("DNS", f"{number}.example") for number in range(1000))
    assert 3900 < len(HASH) + len(value(subjectAltName=names)) < 4100
    assert value(subject=named("a" * 5000), subjectAltName=(("DNS", "a"),)) == "DNS=a"


def test_names_that_are_no_text_leave_the_hash() -> None:
    assert identity_of(Shown(ValueError())) == f'X-Forwarded-Client-Cert: {HASH};Subject=""\r\n'.encode()


def test_without_a_certificate_there_is_no_line() -> None:
    assert identity_of(Shown(None)) == b""


def test_a_certificate_that_has_ended_is_none() -> None:
    with pytest.raises(ExpiredError):
        identity_of(Shown({"notAfter": "Jan  1 00:00:00 2020 GMT"}))


def test_lines_of_a_proxy_lose_its_word_about_a_certificate() -> None:
    lines = b"X-A: 1\r\nx-forwarded-client-CERT: Hash=1\r\nX-B: 2\r\n"
    assert without_identity(lines) == b"X-A: 1\r\nX-B: 2\r\n"
    assert without_identity(b"") == b""


def test_the_authority_of_tests_makes_names_of_each_kind() -> None:
    issued = Authority().issue("a.example", "spiffe://a")
    assert b"BEGIN CERTIFICATE" in issued.chain
