"""A self-signed server certificate, made with the standard library alone.

kubectl sends a bearer token only over TLS, so a server without given certificate files needs one of its
own, and neither `ssl` nor any dependency can make one. X.509 (RFC 5280) with ECDSA on P-256 (FIPS 186-5);
the key lives as long as the process and signs exactly one certificate.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None

_EC_KEY = (1, 2, 840, 10045, 2, 1)
_P256 = (1, 2, 840, 10045, 3, 1, 7)
_ECDSA_SHA256 = (1, 2, 840, 10045, 4, 3, 2)
_COMMON_NAME = (2, 5, 4, 3)


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % _P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, _P) % _P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, _P) % _P
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


def _multiply(scalar: int) -> tuple[int, int]:
    result: Point = None
    addend: Point = _G
    while scalar:
        if scalar & 1:
            result = _add(result, addend)
        addend = _add(addend, addend)
        scalar >>= 1
    if result is None:
        raise ValueError("scalar is a multiple of the group order")
    return result


def _sign(key: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    nonce = secrets.randbelow(_N - 1) + 1
    r = _multiply(nonce)[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * key) % _N
    return _sequence(_integer(r), _integer(s))


def _tlv(tag: int, body: bytes) -> bytes:
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(size))) + size + body


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(numbers: Sequence[int]) -> bytes:
    body = bytearray((numbers[0] * 40 + numbers[1],))
    for number in numbers[2:]:
        part = [number & 127]
        while number := number >> 7:
            part.append(128 | number & 127)
        body += bytes(reversed(part))
    return _tlv(6, bytes(body))


def _bits(body: bytes, unused: int = 0) -> bytes:
    return _tlv(3, bytes((unused,)) + body)


def _time(moment: datetime) -> bytes:
    return _tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def _extension(last: int, body: bytes, *, critical: bool = False) -> bytes:
    flag = _tlv(1, b"\xff") if critical else b""
    return _sequence(_oid((2, 5, 29, last)), flag, _tlv(4, body))


def _alternative_name(host: str) -> bytes:
    try:
        return _tlv(0x87, ipaddress.ip_address(host).packed)
    except ValueError:
        return _tlv(0x82, host.encode("idna"))


def self_signed(name: str, hosts: Sequence[str]) -> tuple[bytes, bytes]:
    """(certificate, key) as PEM, valid for ten years for `hosts` (names and addresses)."""
    key = secrets.randbelow(_N - 1) + 1
    x, y = _multiply(key)
    point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    public = _sequence(_sequence(_oid(_EC_KEY), _oid(_P256)), _bits(point))
    identifier = hashlib.sha1(point, usedforsecurity=False).digest()
    subject = _sequence(_tlv(0x31, _sequence(_oid(_COMMON_NAME), _tlv(0x0C, name.encode()))))
    now = datetime.now(UTC)
    algorithm = _sequence(_oid(_ECDSA_SHA256))
    body = _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(secrets.randbits(120) | 1),
        algorithm,
        subject,
        _sequence(_time(now - timedelta(hours=1)), _time(now + timedelta(days=3650))),
        subject,
        public,
        _tlv(0xA3, _extensions(identifier, hosts)),
    )
    certificate = _sequence(body, algorithm, _bits(_sign(key, body)))
    private = _sequence(
        _integer(1), _tlv(4, key.to_bytes(32, "big")), _tlv(0xA0, _oid(_P256)), _tlv(0xA1, _bits(point))
    )
    return _pem("CERTIFICATE", certificate), _pem("EC PRIVATE KEY", private)


def _extensions(identifier: bytes, hosts: Sequence[str]) -> bytes:
    """Its own CA and a server certificate at once (RFC 5280 §4.2.1)."""
    server_auth = _oid((1, 3, 6, 1, 5, 5, 7, 3, 1))
    return _sequence(
        _extension(19, _sequence(_tlv(1, b"\xff")), critical=True),
        _extension(15, _bits(b"\x84", 2), critical=True),
        _extension(37, _sequence(server_auth)),
        _extension(14, _tlv(4, identifier)),
        _extension(35, _sequence(_tlv(0x80, identifier))),
        _extension(17, _sequence(*(_alternative_name(host) for host in hosts))),
    )


def _pem(label: str, body: bytes) -> bytes:
    text = base64.encodebytes(body).decode().replace("\n", "")
    lines = "\n".join(text[n : n + 64] for n in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()
