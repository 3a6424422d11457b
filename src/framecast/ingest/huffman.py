"""JPEGs without Huffman tables, as AVI files and webcams keep them, made whole.

Motion JPEG leaves the tables out because all pictures would carry the same ones: those of ITU-T T.81, annex K.3. FFmpeg
knows them; browsers don't and show nothing.
"""

from __future__ import annotations

_SOS, _DHT = 0xDA, 0xC4


def _table(number: int, counts: str, values: bytes) -> bytes:
    return bytes([number]) + bytes.fromhex(counts) + values


_DC_VALUES = bytes(range(12))
_AC_LUMA = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738"
    "393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4"
    "a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_AC_CHROMA = bytes.fromhex(
    "0001020311040521310612415107617113223281081442 91a1b1c109233352f0156272d10a162434e125f11718191a262728292a353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2"
    "a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
_TABLES = (
    _table(0x00, "00010501010101010100000000000000", _DC_VALUES)
    + _table(0x10, "0002010303020403050504040000017d", _AC_LUMA)
    + _table(0x01, "00030101010101010101010000000000", _DC_VALUES)
    + _table(0x11, "00020102040403040705040400010277", _AC_CHROMA)
)
STANDARD_DHT = bytes([0xFF, _DHT]) + (len(_TABLES) + 2).to_bytes(2) + _TABLES
"""One DHT segment with the four tables of annex K.3."""


def with_tables(jpeg: bytes) -> bytes:
    """``jpeg`` with the standard tables before its scan; the same object when it has tables or isn't a JPEG."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == _DHT:
            return jpeg
        if marker == _SOS:
            return jpeg[:at] + STANDARD_DHT + jpeg[at:]
        if marker == 0xFF:
            at += 1
            continue
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return jpeg
