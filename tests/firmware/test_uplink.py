"""The way out to the broker: settings that nobody can read again, and faces that wait for it, but not for ever."""

from firmware.base.errors import BadRequest
from firmware.services import uplink
from firmware.vault.records import LISTS
from tests.firmware.entry_house import Entrance
from tests.firmware.vault_house import refused

BROKER = {"host": "192.168.1.2", "port": 8883, "user": "door", "password": "a long secret"}


class Port:
    """A connection that does what a test says."""

    connected = drained = False
    problem = ""

    def tend(self):
        pass


def entrance(**wanted) -> Entrance:
    house = Entrance()
    if wanted:
        house.panel.uplink.change(wanted)
        house.restart()
        house.panel.uplink._due = None
        house.panel.uplink._port = Port()
    return house


def later(house: Entrance, ms: int) -> None:
    """Time passes for the panel."""
    way = house.panel.uplink
    if way._held_since is not None:
        way._held_since -= ms
    house.uptime += ms // 1000
    way.tend()


def test_what_was_set_outlives_a_restart_and_is_told_to_nobody():
    house = entrance(ssid="Hof 7", wifi_password="another secret", **BROKER)
    told = house.panel.uplink.told()
    assert told["host"] == "192.168.1.2" and told["ssid"] == "Hof 7" and told["hold_s"] == 60
    assert "password" not in told and "wifi_password" not in told and "ca" not in told
    assert house.panel.uplink._values["password"] == "a long secret"
    flash = house.house._flash
    for block in range(flash.block_count):
        page = bytearray(4096)
        flash.read(block, page)
        assert b"secret" not in page
    assert [key for key in house.panel.vault._pool.handles(LISTS)] == [b"network "]
    house.panel.uplink.change({"ssid": ""})  # what is not named stays
    assert house.panel.uplink._values["user"] == "door"


def test_what_cannot_work_is_refused_and_changes_nothing():
    house = entrance(**BROKER)
    before = dict(house.panel.uplink._values)
    for wrong in (
        {"host": "broker.example"},
        {"host": "1.2.3"},
        {"host": "1.2.3.256"},
        {"ntp": "pool.ntp.org"},
        {"tls": True},
        {"tls": True, "ca": b"no certificate"},
        {"ssid": "x" * 3600},
    ):
        refused(BadRequest, house.panel.uplink.change, wrong)
        assert house.panel.uplink._values == before, wrong


def test_without_a_broker_faces_never_wait():
    house = entrance()
    later(house, 1000)
    assert not house.panel.uplink.holding


def test_after_a_start_faces_wait_until_all_is_drained():
    house = entrance(**BROKER)
    way = house.panel.uplink
    assert way.holding and not house.panel.face_on
    later(house, 5000)
    way._port.connected = True
    later(house, 100)
    assert way.holding
    way._port.drained = True
    later(house, 100)
    assert not way.holding


def test_a_broker_that_is_away_keeps_them_waiting_no_longer_than_was_set():
    house = entrance(hold_s=20, **BROKER)
    later(house, 19_000)
    assert house.panel.uplink.holding
    later(house, 1000)
    assert not house.panel.uplink.holding
    assert not entrance(hold_s=0, **BROKER).panel.uplink.holding


def test_a_broker_that_plays_for_time_gets_a_tenth_of_it():
    house = entrance(hold_s=20, **BROKER)
    way = house.panel.uplink
    later(house, 20_000)
    held = passed = 0
    while passed < 2000:  # it lets the panel in again every second, and never lets go of what it has
        way._hold()
        held += way.holding
        later(house, 1000)
        passed += 1
    assert 0 < held <= 2000 / 10 + 20


def test_a_quick_one_may_ask_again_soon():
    house = entrance(**BROKER)
    way = house.panel.uplink
    way._port.drained = True
    later(house, 300)
    way._port.drained = False
    way._hold()
    assert way.holding


def test_an_attempt_under_way_ends_when_the_broker_has_something():
    house = entrance(**BROKER)
    panel = house.panel
    later(house, 60_000)
    house.uptime += 1000
    panel.face.look([bytes(8)])
    panel.uplink._hold()
    assert not panel.face.looking and panel.uplink.holding


def test_settings_of_a_newer_firmware_or_damaged_ones_do_no_harm():
    house = entrance(**BROKER)
    vault = house.panel.vault
    for blob in (b"{}", b"[]", b"{broken", b'{"host": "", "future": 1}', b"\xff\xfe", b'{"ca": 5}'):
        vault.put_list(uplink._NAME, blob)
        house.restart()
        vault = house.panel.vault
        assert house.panel.vault.in_service and not house.panel.uplink.holding, blob
