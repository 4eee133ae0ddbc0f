"""A process full of protocol-level panels: `python -m tests.fleet.street FILE`.

FILE holds, as JSON, the site's id and for each panel its secrets, its login, and what is wrong with it. With the first
line on standard input those that are `late` lose their power, with the next they have it back; its end ends all, and
what became of them is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from host_tools.network import BrokerLogin
from tests.fleet.panels import ProtocolPanel, Vault, tend


@dataclass
class House:
    """One panel of the street and its resident. `cut_at`: see ProtocolPanel."""

    vault: Vault = field(default_factory=Vault)
    login: Path = Path()
    late: bool = False
    twice: bool = False
    cut_at: str = ""

    def spec(self) -> dict[str, Any]:
        vault = self.vault
        return {
            "panel_id": vault.panel_id.hex(),
            "key": vault.key.private_bytes_raw().hex(),
            "link_key": vault.link_key.hex(),
            "faces": [handle.hex() for handle in vault.faces],
            "login": str(self.login),
            "late": self.late,
            "twice": self.twice,
            "cut_at": self.cut_at,
        }

    def panel(self, site_id: bytes) -> ProtocolPanel:
        login = BrokerLogin.read(self.login)
        return ProtocolPanel(self.vault, site_id, login, twice=self.twice, cut_at=self.cut_at)

    @classmethod
    def of(cls, spec: dict[str, Any]) -> House:
        vault = Vault(
            bytes.fromhex(spec["panel_id"]),
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(spec["key"])),
            bytes.fromhex(spec["link_key"]),
            faces={bytes.fromhex(handle) for handle in spec["faces"]},
        )
        return cls(vault, Path(spec["login"]), spec["late"], spec["twice"], spec["cut_at"])


def write(path: Path, site_id: bytes, houses: list[House]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps({"site": site_id.hex(), "houses": [house.spec() for house in houses]}))


async def live(path: Path) -> dict[str, Any]:
    spec = json.loads(path.read_text())
    site_id = bytes.fromhex(spec["site"])
    houses = [House.of(house) for house in spec["houses"]]
    panels = [house.panel(site_id) for house in houses]
    late = [panel for panel, house in zip(panels, houses, strict=True) if house.late]
    watch = asyncio.create_task(tend(panels))
    running = {panel: asyncio.create_task(panel.run()) for panel in panels}
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    away = False
    while await orders.readline():
        away = not away
        if away:
            await _end(running[panel] for panel in late)
        else:
            running |= {panel: asyncio.create_task(panel.run()) for panel in late}
    await _end([watch, *running.values()])
    vaults = [panel.vault for panel in panels]
    return {
        "duplicates_applied": sum(count - 1 for vault in vaults for count in vault.applied.values()),
        "restarts": sum(panel.restarts for panel in panels),
        "receipts": sum(len(vault.receipts) for vault in vaults),
        "waiting": sum(vault.waiting() for vault in vaults),
        "faces": sum(len(vault.faces) for vault in vaults),
    }


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    ended = list(tasks)
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # the firmware's log
        told = asyncio.run(live(Path(sys.argv[1])))
    print(json.dumps(told), flush=True)
