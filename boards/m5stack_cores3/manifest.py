"""What the host must know of this board, and the micropython-lib packages that its firmware needs: none."""

TITLE = "M5Stack CoreS3"
CHIP = "esp32s3"
FLASH_MB = 16
PSRAM = "quad"  # octal PSRAM takes GPIO 33 to 37
# Tables of board.py whose wires are the maker's, on the board itself.
ONBOARD = ("CAMERA", "LCD")
REQUIRES = ()
