"""Provisioning's two derivations, read by the panel and the host alike.

Host and panel each make an X25519 pair for the occasion; the panel signs what it sent with its new device
key, which the host pins from then on.
"""

from firmware.crypto.hmac import hmac_sha256


def link_key(shared: bytes, host_pub: bytes, panel_pub: bytes, device_pub: bytes) -> bytes:
    """The 32-byte link key from the X25519 secret `shared`, bound to all three public keys."""
    return hmac_sha256(shared, b"menshen link v1", host_pub, panel_pub, device_pub)


def signed_message(panel_id: bytes, device_pub: bytes, panel_pub: bytes, host_pub: bytes) -> bytes:
    """What the device key signs."""
    return b"menshen provision v1" + panel_id + device_pub + panel_pub + host_pub
