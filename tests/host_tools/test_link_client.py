"""The host's client against the firmware's own server in a MicroPython process, on good lines and bad ones."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from link_rig import Rig

from firmware.link.messages import Seals, encode_frame
from host_tools.errors import (
    IdentityChanged,
    LinkFailed,
    LinkGarbled,
    NoConsent,
    NoPanel,
    Provisioning,
    RefusedByPanel,
    Usage,
    VaultIsFull,
)
from host_tools.link.carrier import SerialCarrier
from host_tools.link.client import PanelClient, connect
from host_tools.panels import provision
from host_tools.site import Panel, Site
from host_tools.site.registry import Registry

HANDLE = bytes(8)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site.open(tmp_path / "site.db") as site:
        yield site


@pytest.fixture
def panel(rig: Rig, site: Site) -> Panel:
    return provision(site, rig.port, "door")


def raw(rig: Rig, *frames: bytes, wait_s: float = 0.3) -> bytes:
    """What comes back for bytes put on the line."""
    host, port = rig.port.removeprefix("socket://").split(":")
    with socket.create_connection((host, int(port))) as line:
        for frame in frames:
            line.sendall(frame)
        line.settimeout(wait_s)
        answer = b""
        try:
            while True:
                answer += line.recv(65536)
        except TimeoutError:
            return answer


def resident_put(panel: Panel, flat: str = "301", timeout_s: float | None = None) -> None:
    panel.request(
        "resident_put",
        timeout_s,
        handle=HANDLE,
        flat=flat,
        doors=1,
        schedule=[],
        valid_from=0,
        valid_until=0,
    )


def first_of(spoil: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Spoils the first bytes that pass, and lets the others be."""
    spoilt = []

    def once(data: bytes) -> bytes:
        if spoilt:
            return data
        spoilt.append(data)
        return spoil(data)

    return once


def test_a_panel_is_provisioned_once_and_pinned(rig: Rig, site: Site, panel: Panel) -> None:
    assert panel.record.state == "active"
    assert rig.state["confirmed"] and rig.state["device_pub"] == panel.record.device_pub.hex()
    with pytest.raises(Provisioning, match="already in this site, as door"):
        provision(site, rig.port, "another")
    with pytest.raises(Usage, match="called door already"):
        provision(site, rig.port, "door")


def test_another_site_cannot_take_it(rig: Rig, panel: Panel, tmp_path: Path) -> None:
    panel.close()
    with Site.open(tmp_path / "other.db") as other:
        with pytest.raises(Provisioning, match="another site"):
            provision(other, rig.port, "mine")
        assert other.panel_records() == []
    client = PanelClient(SerialCarrier(rig.port))
    with pytest.raises(Provisioning):
        client.plain("provision", host_pub=bytes(32), site=bytes(8), name="mine", time=0)
    client.close()


def test_provisioning_that_was_cut_short_is_finished_by_the_same_command(rig: Rig, tmp_path: Path) -> None:
    class Cut(SerialCarrier):
        """Breaks off once the panel is taken, before the host has heard so."""

        def read(self) -> bytes:
            if rig.state["confirmed"]:
                raise LinkFailed("the line broke")
            return super().read()

    with Site(Registry(tmp_path / "site.db"), open_carrier=Cut) as site:
        with pytest.raises(LinkFailed):
            provision(site, rig.port, "door")
        assert [record.state for record in site.panel_records()] == ["pending"]
    with Site.open(tmp_path / "site.db") as site:
        assert provision(site, rig.port, "door").record.state == "active"


def test_a_device_file_carries_as_well_as_a_socket(rig: Rig) -> None:
    client, hello = connect(SerialCarrier(rig.device()))
    assert hello["board"] == "test" and hello["provisioned"] is False
    client.close()


def test_nobody_on_the_port(rig: Rig, panel: Panel) -> None:
    with pytest.raises(NoPanel):
        SerialCarrier("/dev/does-not-exist")
    with pytest.raises(NoPanel):
        SerialCarrier("socket://127.0.0.1:1")
    panel.close()
    rig.stop()
    with pytest.raises(NoPanel, match="No panel answers"):
        connect(SerialCarrier(rig.port), timeout_s=0.1)


def test_a_garbled_request_is_repeated_and_runs_once(rig: Rig, panel: Panel) -> None:
    panel.connected()
    rig.to_panel = first_of(lambda data: data[:50] + b"!" + data[51:])
    resident_put(panel)
    assert rig.calls.count("resident_put") == 1


def test_a_truncated_request_is_repeated_and_runs_once(rig: Rig, panel: Panel) -> None:
    panel.connected()
    rig.to_panel = first_of(lambda data: data[: len(data) // 2])
    resident_put(panel, timeout_s=0.3)
    assert rig.calls.count("resident_put") == 1


def test_a_lost_or_garbled_answer_is_asked_for_again_and_the_request_runs_once(rig: Rig, panel: Panel) -> None:
    panel.connected()
    for spoil in (lambda data: b"", lambda data: data[:-20] + b"\r\n", lambda data: b"noise\r\n~~~\r\n" + data):
        before = rig.calls.count("resident_put")
        rig.to_host = first_of(spoil)
        resident_put(panel, timeout_s=0.3)
        assert rig.calls.count("resident_put") == before + 1


def test_a_line_that_is_always_garbled_says_so(rig: Rig, panel: Panel) -> None:
    panel.connected()
    rig.to_host = lambda data: data.replace(b"A", b"B")
    with pytest.raises(LinkGarbled, match="garbled"):
        panel.request("set_time", timeout_s=0.2, time=1)
    rig.to_host = lambda data: data
    panel.connected()
    rig.to_host = lambda data: b""
    with pytest.raises(LinkFailed, match="in time"):
        panel.request("set_time", timeout_s=0.2, time=1)


def test_a_slow_command_is_not_started_again_by_an_impatient_host(rig: Rig, panel: Panel) -> None:
    started = time.monotonic()
    assert panel.request("maintenance_end", timeout_s=0.7) == {}
    assert 1.4 < time.monotonic() - started < 10
    assert rig.calls.count("maintenance_end") == 1
    resident_put(panel)  # the answers to the repetitions are not taken for this one's


def test_replayed_and_forged_frames_change_nothing(rig: Rig, panel: Panel) -> None:
    seen: list[bytes] = []

    def tap(data: bytes) -> bytes:
        seen.append(data)
        return data

    panel.connected()
    rig.to_panel = tap
    resident_put(panel)
    resident_put(panel)
    panel.close()
    rig.to_panel = lambda data: data
    before = rig.calls
    for frame in (
        *seen,  # recorded requests
        encode_frame(Seals(bytes(32), os.urandom).request(999, {"op": "wipe_face"})),  # of another key
        seen[0].replace(b"~A", b"~B"),
        b"~" + b"A" * 20_000 + b"\r\n",  # oversize
        b"~" + b"A" * 300,  # truncated, then whole
        seen[-1],
    ):
        raw(rig, frame, wait_s=0.05)
    assert rig.calls == before
    resident_put(panel)
    assert rig.calls == [*before, "resident_put"]


def test_after_a_restart_the_counter_still_rises_and_the_host_catches_up(rig: Rig, panel: Panel) -> None:
    seen: list[bytes] = []
    resident_put(panel)
    rig.to_panel = lambda data: seen.append(data) or data  # type: ignore[func-returns-value]
    resident_put(panel)
    rig.stop()
    rig.start()
    rig.to_panel = lambda data: data
    before = rig.calls
    panel.close()
    raw(rig, *seen)
    assert rig.calls == before
    resident_put(panel)
    assert rig.calls == [*before, "resident_put"]


def test_a_registry_restored_from_a_backup_catches_up(rig: Rig, site: Site, panel: Panel) -> None:
    for _ in range(3):
        resident_put(panel)
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET counter = 0")
    resident_put(panel)
    assert rig.calls.count("resident_put") == 4


def test_a_panel_with_other_keys_is_noticed(rig: Rig, site: Site, panel: Panel) -> None:
    panel.close()
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET link_key = ?", (bytes(32),))
    with pytest.raises(IdentityChanged, match="does not know this site's key"):
        site.panel("door").request("set_time", time=1)
    with site.registry.transaction() as db:
        db.execute("UPDATE panels SET device_pub = ?", (bytes(32),))
    with pytest.raises(IdentityChanged, match="Another panel"):
        site.panel("door").request("set_time", time=1)
    assert rig.calls.count("set_time") == 1


def test_a_fresh_panel_in_the_place_of_a_known_one_is_noticed(rig: Rig, panel: Panel) -> None:
    panel.close()
    rig.stop()
    rig.flash.unlink()
    rig.start()
    with pytest.raises(IdentityChanged, match="fresh"):
        panel.request("set_time", time=1)


def test_the_panels_refusals_keep_their_meaning(rig: Rig, panel: Panel) -> None:
    with pytest.raises(VaultIsFull):
        resident_put(panel, flat="666")
    with pytest.raises(NoConsent):
        panel.request(
            "enrol_put",
            handle=HANDLE,
            consent_id=bytes(16),
            notice_hash=bytes(32),
            model_id=bytes(8),
            expiry=0,
            templates=[bytes(128)],
        )
    with pytest.raises(RefusedByPanel) as refusal:
        panel.request("wipe_face", handle=HANDLE, reason="request")
    assert refusal.value.panel_code == "not_found"


def test_a_failing_or_senseless_panel_is_an_error_not_a_crash(rig: Rig, panel: Panel) -> None:
    with pytest.raises(RefusedByPanel, match="ValueError") as failure:
        panel.request("set_policy")
    assert "a secret" not in str(failure.value)
    with pytest.raises(LinkFailed):
        panel.request("events", timeout_s=0.3, since=0, limit=1)  # its answer does not fit a frame
    with pytest.raises(LinkFailed, match="not as it should be"):
        panel.request("consent_state", handle=HANDLE)
    resident_put(panel)


def test_what_the_panel_would_refuse_is_not_sent(rig: Rig, panel: Panel) -> None:
    before = rig.calls
    with pytest.raises(Usage):
        panel.request("resident_put", handle=HANDLE)
    with pytest.raises(Usage):
        panel.request("format_disk")
    assert rig.calls == before
