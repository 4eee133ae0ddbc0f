"""Errors that somebody catches. `code` is what crosses the wire and picks the host's exit code."""


class MenshenError(Exception):
    """Something unexpected."""

    code = "error"


class HalError(MenshenError):
    """A peripheral did not do what it was asked."""

    code = "hal"


class CameraError(HalError):
    """The camera gives no picture."""

    code = "camera"


class EraseFailed(HalError):
    """A block did not read back as erased; its content must be taken as still there."""

    code = "erase_failed"


class VaultError(MenshenError):
    """The vault cannot be used."""

    code = "vault"


class VaultFull(VaultError):
    """There is no room for another record."""

    code = "vault_full"


class VaultCorrupt(VaultError):
    """A record is damaged, or was altered."""

    code = "vault_corrupt"


class NotFound(MenshenError):
    """The panel knows nothing of that name, or holds nothing to do it to."""

    code = "not_found"


class ConsentError(MenshenError):
    """No valid consent covers what was asked."""

    code = "consent"


class LinkError(MenshenError):
    """A frame that could not be read: garbled, too long, or of an unknown version."""

    code = "link"


class AuthError(MenshenError):
    """A seal, signature or counter that does not hold."""

    code = "auth"


class BadRequest(MenshenError):
    """A request that is not as its operation needs it."""

    code = "bad_request"


class Refused(MenshenError):
    """The panel's rules or its state forbid it."""

    code = "refused"


class PackError(MenshenError):
    """A model pack that is truncated, altered, or made for another runtime."""

    code = "pack"


class ModelMismatch(MenshenError):
    """A template of another embedder: it must not be compared."""

    code = "model"


class NoFace(MenshenError):
    """Nobody is seen."""

    code = "no_face"


class ManyFaces(MenshenError):
    """Several people are seen."""

    code = "many_faces"


class PoorQuality(MenshenError):
    """A face is seen, and not well enough."""

    code = "quality"


class NotProvisioned(MenshenError):
    """The panel has no owner yet."""

    code = "not_provisioned"


class AlreadyProvisioned(MenshenError):
    """The panel has an owner already."""

    code = "already_provisioned"
