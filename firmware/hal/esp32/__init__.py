"""The ESP32-S3's drivers, over the modules of a stock MicroPython image."""
