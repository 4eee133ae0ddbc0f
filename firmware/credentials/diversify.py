"""A key of its own for every card and key slot: NXP AN10922, AES-128. Read by firmware and host tools alike.

From one master key, which stays on the host, each card's keys follow from its UID; a card that gives up its keys gives
up nothing about the others.
"""

from firmware.base.compat import const

_AES128 = b"\x01"  # the constant of AN10922 section 2.2
_MIN_INPUT_BYTES = const(16)  # below, AN10922 pads to two blocks, which RFC 4493 does not
_MAX_INPUT_BYTES = const(31)


def card_key(cmac, master, uid, application, system) -> bytes:
    """The 16-byte key of the card `uid`.

    `cmac(key, message)` is AES-CMAC (RFC 4493); `application` the card application's AID, `system` the site's
    identifier with the key slot's number. UID, AID and system identifier together have 16 to 31 bytes, or ValueError.
    """
    diversification = bytes(uid) + bytes(application) + bytes(system)
    if not _MIN_INPUT_BYTES <= len(diversification) <= _MAX_INPUT_BYTES:
        raise ValueError("diversification input of %d bytes" % len(diversification))
    return cmac(master, _AES128 + diversification)
