"""The host's side of the panels' link."""
