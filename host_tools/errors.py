"""What can go wrong on the host, each with its exit code, and what the panel's own errors become here.

Every message is a sentence that says what to do next; the command line prints it and nothing else.
"""

from __future__ import annotations


class HostError(Exception):
    """Something unexpected."""

    exit_code = 1
    code = "error"


class Usage(HostError):
    """The command cannot be meant as given."""

    exit_code = 2
    code = "usage"


class NoPanel(HostError):
    """No panel answers on the port."""

    exit_code = 3
    code = "no_panel"


class RefusedByPanel(HostError):
    """The panel did not do what it was asked.

    `panel_code` is its own word for why, of firmware/base/errors.py.
    """

    exit_code = 4
    code = "refused"

    def __init__(self, message: str, panel_code: str = "refused") -> None:
        super().__init__(message)
        self.panel_code = panel_code


class NoConsent(HostError):
    """No consent covers what was asked."""

    exit_code = 5
    code = "no_consent"


class NoFace(HostError):
    """The picture holds no face."""

    exit_code = 6
    code = "no_face"


class ManyFaces(HostError):
    """The picture holds several faces."""

    exit_code = 7
    code = "many_faces"


class UnreadablePicture(HostError):
    """The file is no picture, or only part of one."""

    exit_code = 8
    code = "unreadable_picture"


class LinkFailed(HostError):
    """The link is garbled, or no answer came in time: what was asked may have been done."""

    exit_code = 9
    code = "link"


class LinkGarbled(LinkFailed):
    """Frames come, but not whole."""


class RegistryBroken(HostError):
    """The site registry cannot be used."""

    exit_code = 10
    code = "registry"


class RegistryNewer(RegistryBroken):
    """The site registry was written by a newer version."""

    code = "registry_newer"


class RegistryForeign(RegistryBroken):
    """The database is another program's."""

    code = "registry_foreign"


class RegistryBusy(RegistryBroken):
    """Another program does not let go of the site registry."""

    code = "registry_busy"


class VaultIsFull(HostError):
    """The panel has no room for another record."""

    exit_code = 11
    code = "vault_full"


class ReceiptInvalid(HostError):
    """The receipt was not signed by that key, or has been changed."""

    exit_code = 12
    code = "receipt_invalid"


class DoorDenied(HostError):
    """The door stayed shut."""

    exit_code = 13
    code = "denied"


class TooPoor(HostError):
    """The face is too small, dark, blurred or turned away."""

    exit_code = 14
    code = "quality"


class Provisioning(HostError):
    """The panel has no owner yet, or has one already."""

    exit_code = 15
    code = "provisioning"


class IdentityChanged(HostError):
    """Another panel answers than the one whose key is pinned."""

    exit_code = 16
    code = "identity"


class Queued(HostError):
    """A panel has not confirmed a deletion yet; it is queued and stays in sight."""

    exit_code = 17
    code = "queued"


class Overdue(HostError):
    """A deletion is overdue."""

    exit_code = 18
    code = "overdue"


class ChainBroken(HostError):
    """An audit log was altered or cut off."""

    exit_code = 19
    code = "chain_broken"


class NotApproved(HostError):
    """A bulk deletion was not approved by two persons, or by a typed word and the site key."""

    exit_code = 20
    code = "not_approved"


class NotFlashable(HostError):
    """The image cannot be made, or the board cannot be flashed."""

    exit_code = 21
    code = "not_flashable"


class Unequal(HostError):
    """Somebody without a face on file is treated worse than somebody with one."""

    exit_code = 22
    code = "unequal"


class SelftestFailed(HostError):
    """The panel failed a check of its self-test."""

    exit_code = 23
    code = "selftest_failed"


class RegistryUnreachable(HostError):
    """The site registry's server cannot be reached, or does not let this user in."""

    exit_code = 24
    code = "registry_unreachable"


class RegistryConflict(HostError):
    """Somebody else changed the same thing at the same moment, or it must never be changed."""

    exit_code = 25
    code = "conflict"


class Locked(HostError):
    """The site's keys are protected, and nothing that opens them was given."""

    exit_code = 26
    code = "locked"


class WrongPassphrase(Locked):
    """The passphrase or recovery code does not open the site's keys."""

    code = "wrong_passphrase"


class MaintenanceRefused(HostError):
    """Nobody at the panel allowed what a technician asked for."""

    exit_code = 30
    code = "not_allowed"


class ToolFailed(HostError):
    """mpremote, or what it ran on the panel, failed."""

    exit_code = 31
    code = "tool_failed"


class BundleInvalid(HostError):
    """The update bundle is damaged, or not signed with the key that the panel trusts."""

    exit_code = 32
    code = "bundle_invalid"


class UpdateFailed(HostError):
    """The update was not installed; the panel runs what it ran before."""

    exit_code = 33
    code = "update_failed"


EXIT_CODES: dict[int, str] = {
    0: "done",
    **{
        kind.exit_code: (kind.__doc__ or "").splitlines()[0]
        for kind in (
            HostError,
            Usage,
            NoPanel,
            RefusedByPanel,
            NoConsent,
            NoFace,
            ManyFaces,
            UnreadablePicture,
            LinkFailed,
            RegistryBroken,
            VaultIsFull,
            ReceiptInvalid,
            DoorDenied,
            TooPoor,
            Provisioning,
            IdentityChanged,
            Queued,
            Overdue,
            ChainBroken,
            NotApproved,
            NotFlashable,
            Unequal,
            SelftestFailed,
            RegistryUnreachable,
            RegistryConflict,
            Locked,
            MaintenanceRefused,
            ToolFailed,
            BundleInvalid,
            UpdateFailed,
        )
    },
}

# firmware/base/errors.py codes that mean more to a caller than "refused", and what to do about them.
_FROM_PANEL: dict[str, tuple[type[HostError], str]] = {
    "consent": (NoConsent, "Ask for consent first: menshen consent ask."),
    "no_face": (NoFace, "Use a picture that shows the face from the front."),
    "many_faces": (ManyFaces, "Use a picture with one person in it."),
    "picture": (UnreadablePicture, "Choose another file."),
    "quality": (TooPoor, "Use a sharper, brighter, frontal picture."),
    "link": (LinkFailed, "Run the command again: it is safe to repeat."),
    "vault_full": (VaultIsFull, "Wipe residents who moved out, then run the command again."),
    "not_provisioned": (Provisioning, "Run: menshen panel provision."),
    "already_provisioned": (Provisioning, "Only erasing the whole panel makes it fresh again."),
}

_ADVICE = {
    "erase_failed": "Take the face as still stored and have the panel replaced.",
    "hal": "See: menshen panel status.",
    "vault": "See: menshen panel status.",
    "vault_corrupt": "See: menshen panel status.",
    "error": "See: menshen log.",
}


def from_code(code: str, message: str) -> HostError:
    """The host's error for one of `firmware.base.errors`' codes."""
    text = _sentence(message or code)
    if code in _FROM_PANEL:
        kind, advice = _FROM_PANEL[code]
        return kind(f"{text} {advice}")
    return RefusedByPanel(f"{text} {_ADVICE.get(code, 'Nothing was changed.')}", code)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
