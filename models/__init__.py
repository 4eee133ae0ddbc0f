"""Training, export and evaluation of the panel's networks (host side only)."""
