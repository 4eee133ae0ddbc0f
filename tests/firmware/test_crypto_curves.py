"""Published vectors: RFC 8032 section 7.1, RFC 7748 sections 5.2 and 6.1, FIPS 180-4."""

from binascii import unhexlify as unhex

from firmware.base.errors import AuthError
from firmware.crypto import ed25519
from firmware.crypto.sha512 import sha512
from firmware.crypto.x25519 import x25519

_ABC_SHA512 = (
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
)

# seed, public key, message, signature
_RFC8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        _ABC_SHA512,
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)


def test_sha512_fips_180_4():
    assert sha512(b"abc") == unhex(_ABC_SHA512)
    assert sha512(b"") == unhex(
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
    )


def test_ed25519_rfc_8032():
    for seed, public, message, signature in _RFC8032:
        seed, public, message, signature = unhex(seed), unhex(public), unhex(message), unhex(signature)
        assert ed25519.public_key(seed) == public
        assert ed25519.sign(seed, message) == signature
        assert ed25519.sign(seed, message, public) == signature
        assert ed25519.verify(public, message, signature)


def test_ed25519_refuses_what_was_not_signed():
    _, public, message, signature = (unhex(text) for text in _RFC8032[2])
    for position in range(0, 64, 9):
        altered = bytearray(signature)
        altered[position] ^= 0x10
        assert not ed25519.verify(public, message, altered), position
    assert not ed25519.verify(public, message + b"\0", signature)
    assert not ed25519.verify(unhex(_RFC8032[1][1]), message, signature)
    assert not ed25519.verify(public, message, signature[:-1])
    assert not ed25519.verify(b"\xff" * 32, message, signature)


def test_ed25519_refuses_a_scalar_beyond_the_order():
    _, public, message, signature = (unhex(text) for text in _RFC8032[2])
    order = (1 << 252) + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert not ed25519.verify(public, message, signature[:32] + s.to_bytes(32, "little"))


def test_x25519_rfc_7748():
    for k, u, expected in (
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ):
        assert x25519(unhex(k), unhex(u)) == unhex(expected)


def test_x25519_agrees_on_both_sides():
    alice = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert x25519(alice, x25519(bob)) == shared
    assert x25519(bob, x25519(alice)) == shared


def test_x25519_refuses_a_point_of_low_order():
    for point in (bytes(32), b"\1" + bytes(31)):
        try:
            x25519(b"\x77" * 32, point)
        except AuthError:
            continue
        raise AssertionError("accepted")
