"""What a panel runs before its firmware: staged beside the slots, and never changed by an update over the link."""
