"""The Huffman code of HPACK, as another implementation writes it."""

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_ENCODER = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def encode_huffman(data: bytes) -> bytes:
    """Return the code of `data`, padded with the beginning of the code of EOS (RFC 7541 §5.2)."""
    return bytes(_ENCODER.encode(data))
