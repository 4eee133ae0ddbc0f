"""The virtual panel: the firmware in a real MicroPython process, with its hardware simulated around it."""
