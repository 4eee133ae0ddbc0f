"""The virtual panel is on the network of the PC that it runs on: there is nothing to join."""


class VirtualNetwork:
    def join(self, ssid: str, password: str, ntp: str) -> None:
        pass

    def up(self) -> bool:
        return True

    def address(self) -> str:
        return "127.0.0.1"
