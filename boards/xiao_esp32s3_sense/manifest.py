"""What the host must know of this board, and the micropython-lib packages that its firmware needs: none."""

TITLE = "Seeed Studio XIAO ESP32S3 Sense"
CHIP = "esp32s3"
FLASH_MB = 8
PSRAM = "octal"  # octal PSRAM takes GPIO 33 to 37
# Tables of board.py whose wires are the maker's, on the board itself.
ONBOARD = ("CAMERA",)
REQUIRES = ()
