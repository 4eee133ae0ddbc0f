"""Published vectors for the symmetric half: RFC 4231, 4493, 5869, 7914, and NXP AN12196."""

from binascii import unhexlify as unhex

from firmware.base.errors import AuthError
from firmware.crypto.aes import cbc_decrypt, cmac
from firmware.crypto.hmac import constant_time_eq, hkdf, hmac_sha256, pbkdf2_sha256, zero
from firmware.crypto.seal import open_sealed, seal, sealed_bytes

_RFC4231 = (
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
)

_RFC4493_KEY = "2b7e151628aed2a6abf7158809cf4f3c"
_RFC4493_TEXT = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
_RFC4493 = (
    (0, "bb1d6929e95937287fa37d129b756746"),
    (16, "070a16b46b4d4144f79bdd9dd04a287c"),
    (40, "dfa66747de9ae63030ca32611497c827"),
    (64, "51f0bebf7e3b9d92fc49741779363cfe"),
)


def test_hmac_sha256_rfc_4231():
    for key, message, expected in _RFC4231:
        assert hmac_sha256(key, message) == unhex(expected), expected
        assert hmac_sha256(key, message[:3], b"", message[3:]) == unhex(expected), expected


def test_cmac_rfc_4493():
    for length, expected in _RFC4493:
        assert cmac(unhex(_RFC4493_KEY), unhex(_RFC4493_TEXT)[:length]) == unhex(expected), length


def test_cmac_and_cbc_of_an_ntag_424_dna_login():
    key = bytes(16)
    rnd_b = cbc_decrypt(key, bytes(16), unhex("A04C124213C186F22399D33AC2A30215"))
    assert rnd_b == unhex("B9E2FC789B64BF237CCCAA20EC7E6E48")
    sv1 = unhex("A55A0001008013C56268A548D8FBBF237CCCAA20EC7E6E48C3DEF9A4C675360F")
    assert cmac(key, sv1) == unhex("1309C877509E5A215007FF0ED19CA564")
    assert cmac(key, b"\x5a\xa5" + sv1[2:]) == unhex("4C6626F5E72EA694202139295C7A7FC7")


def test_pbkdf2_rfc_7914_and_common_vectors():
    for password, salt, rounds, expected in (
        (b"passwd", b"salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        (b"password", b"salt", 4096, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"),
        (b"Password", b"NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"),
    ):
        assert pbkdf2_sha256(password, salt, rounds) == unhex(expected), rounds


def test_hkdf_rfc_5869_without_salt():
    expected = unhex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    assert hkdf(b"\x0b" * 22, b"", 42) == expected
    assert hkdf(b"\x0b" * 22, b"", 7) == expected[:7]


def test_comparison_and_wiping():
    assert constant_time_eq(b"abc", bytearray(b"abc"))
    assert not constant_time_eq(b"abc", b"abd")
    assert not constant_time_eq(b"abc", b"ab")
    secret = bytearray(b"secret")
    zero(secret)
    assert secret == bytes(6)


def test_a_seal_opens_and_only_whole():
    enc, mac, iv = b"e" * 32, b"m" * 32, bytes(range(16))
    for length in (0, 1, 15, 16, 17, 600):
        plain = bytes(i & 0xFF for i in range(length))
        sealed = seal(enc, mac, iv, plain, b"head")
        assert len(sealed) == sealed_bytes(length)
        assert open_sealed(enc, mac, sealed, b"head") == plain
    for position in range(0, len(sealed), 37):
        altered = bytearray(sealed)
        altered[position] ^= 1
        assert _refused(enc, mac, altered, b"head"), position
    assert _refused(enc, mac, sealed, b"Head")
    assert _refused(enc, b"M" * 32, sealed, b"head")
    assert _refused(enc, mac, sealed[:-16], b"head")
    assert _refused(enc, mac, b"", b"head")


def _refused(enc, mac, sealed, aad) -> bool:
    try:
        open_sealed(enc, mac, sealed, aad)
    except AuthError:
        return True
    return False
