"""What this firmware calls itself; an update's bundle is stamped with its own."""

VERSION = "0.1.0"
