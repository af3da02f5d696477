"""The Huffman code: there and back, and what RFC 7541 §5.2 forbids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http2.huffman import HpackError, decode_huffman
from tests.support.huffman import encode_huffman

EOS = "1" * 30
CODE_OF_0, CODE_OF_A, CODE_OF_AMPERSAND = "00000", "00011", "11111000"
CODE_OF_CR = "111111111111111111111111111101"  # of 30 bits, like that of EOS


def packed(bits: str) -> bytes:
    assert len(bits) % 8 == 0
    return int(bits, 2).to_bytes(len(bits) // 8)


@pytest.mark.parametrize(
    ("code", "string"),
    [
        ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
        ("a8eb10649cbf", b"no-cache"),
        ("25a849e95ba97d7f", b"custom-key"),
        ("6402", b"302"),  # ends with its byte: no padding
        ("d07abe941054d444a8200595040b8166e082a62d1bff", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        ("", b""),
    ],
)
def test_strings_of_the_rfc(code: str, string: bytes) -> None:
    assert decode_huffman(bytes.fromhex(code)) == string
    assert encode_huffman(string) == bytes.fromhex(code)


@given(st.binary(max_size=300))
def test_there_and_back(string: bytes) -> None:
    assert decode_huffman(encode_huffman(string)) == string


def test_all_pairs_of_symbols_there_and_back() -> None:
    for first in range(256):
        string = b"".join(bytes((first, second)) for second in range(256))
        assert decode_huffman(encode_huffman(string)) == string


@pytest.mark.parametrize("ones", range(8))
def test_padding_has_up_to_7_ones(ones: int) -> None:
    bits = next(
        CODE_OF_A * fives + CODE_OF_AMPERSAND for fives in range(8) if (5 * fives + 8 + ones) % 8 == 0
    )
    string = decode_huffman(packed(bits + "1" * ones))
    assert string == b"a" * (len(bits) // 5 - 1) + b"&"


@pytest.mark.parametrize(
    "bits",
    [
        "1" * 8,
        "1" * 16,
        CODE_OF_AMPERSAND + "1" * 8,
        CODE_OF_A + "1" * 11,
        CODE_OF_CR[:24],
    ],
)
def test_padding_of_8_bits_or_more_is_refused(bits: str) -> None:
    with pytest.raises(HpackError, match="longer than 7 bits"):
        decode_huffman(packed(bits))


@pytest.mark.parametrize(
    "bits",
    [
        CODE_OF_A + "000",
        CODE_OF_A + "110",
        CODE_OF_A + "011",
        CODE_OF_A * 3 + "0",
        "0" * 8,  # a symbol and three zeros
        "11111110",  # the beginning of longer codes
        CODE_OF_CR + "10",
    ],
)
def test_padding_that_is_not_all_ones_is_refused(bits: str) -> None:
    with pytest.raises(HpackError, match="not all ones"):
        decode_huffman(packed(bits))


@pytest.mark.parametrize(
    "bits",
    [
        EOS + "11",
        EOS + "00",
        CODE_OF_A * 2 + EOS,
        CODE_OF_0 * 2 + EOS + CODE_OF_A * 8,
        EOS + EOS + "1111",
        EOS + "01" + CODE_OF_A * 8,
    ],
)
def test_the_code_of_eos_is_refused(bits: str) -> None:
    for _ in range(2):  # the steps of the decoder are new, then known
        with pytest.raises(HpackError, match="EOS"):
            decode_huffman(packed(bits))
