"""What the panel sees, computed on the host with the same arithmetic."""
