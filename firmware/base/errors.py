"""Errors that somebody catches. `code` is what crosses the wire and picks the host's exit code."""


class MenshenError(Exception):
    code = "error"


class HalError(MenshenError):
    """A peripheral did not do what it was asked."""

    code = "hal"


class CameraError(HalError):
    code = "camera"


class EraseFailed(HalError):
    """A block did not read back as erased; its content must be taken as still there."""

    code = "erase_failed"


class VaultError(MenshenError):
    code = "vault"


class VaultFull(VaultError):
    code = "vault_full"


class VaultCorrupt(VaultError):
    code = "vault_corrupt"


class NotFound(MenshenError):
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
    code = "bad_request"


class Refused(MenshenError):
    code = "refused"


class PackError(MenshenError):
    """A model pack that is truncated, altered, or made for another runtime."""

    code = "pack"


class ModelMismatch(MenshenError):
    """A template of another embedder: it must not be compared."""

    code = "model"


class NoFace(MenshenError):
    code = "no_face"


class ManyFaces(MenshenError):
    code = "many_faces"


class PoorQuality(MenshenError):
    code = "quality"


class NotProvisioned(MenshenError):
    code = "not_provisioned"


class AlreadyProvisioned(MenshenError):
    code = "already_provisioned"
