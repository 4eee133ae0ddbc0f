"""A site: the building's panels, residents, consents and credentials, and the registry that keeps them."""

from host_tools.site.panel import Panel
from host_tools.site.records import Consent, Credential, Enrolment, PanelRecord, Receipt, Resident
from host_tools.site.site import Site

__all__ = ("Consent", "Credential", "Enrolment", "Panel", "PanelRecord", "Receipt", "Resident", "Site")
