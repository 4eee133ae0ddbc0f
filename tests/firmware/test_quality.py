"""The quality gate tells the person what to change."""

from array import array

from firmware.vision import quality as q
from firmware.vision.align import similarity
from firmware.vision.pixelstats import level, measure

# A frontal face with eyes 32 px apart, about the middle of the frame, in 1/16 px.
FRONTAL = ((2304, 1600), (2816, 1600), (2560, 1880), (2350, 2160), (2770, 2160))


def changed(*changes) -> tuple:
    """FRONTAL with (index, dx, dy) applied."""
    points = [list(p) for p in FRONTAL]
    for i, dx, dy in changes:
        points[i][0] += dx
        points[i][1] += dy
    return tuple(tuple(p) for p in points)


def shrunk(percent: int) -> tuple:
    return tuple((x * percent // 100, y * percent // 100) for x, y in FRONTAL)


def face(width: int, x: int = 100) -> tuple:
    return 40, x, 60, width, width * 4 // 3, FRONTAL


def textured(low: int, high: int, period: int) -> bytearray:
    """A chequer pattern of `period` px squares."""
    out = bytearray(96 * 96)
    for y in range(96):
        for x in range(96):
            out[y * 96 + x] = high if (x // period + y // period) & 1 else low
    return out


def pixels(image, limits=q.STRICT) -> int:
    stats = array("i", [0] * q.STATS)
    measure(image, stats)
    return q.judge_pixels(stats, limits)


def test_a_frontal_face_passes_both_gates():
    for limits in (q.STRICT, q.LENIENT):
        assert q.judge_landmarks(FRONTAL, limits) == q.OK
        assert q.choose([face(80)], limits) == (face(80), q.OK)


def test_a_small_face_must_come_closer():
    assert q.judge_landmarks(shrunk(60), q.STRICT) == q.COME_CLOSER
    assert q.judge_landmarks(shrunk(60), q.LENIENT) == q.OK
    assert q.judge_landmarks(shrunk(35), q.LENIENT) == q.COME_CLOSER


def test_a_turned_nodding_or_tilted_head_must_look_straight():
    for points in (
        changed((2, 150, 0)),
        changed((2, -150, 0)),
        changed((2, 0, -90)),
        changed((2, 0, 150)),
        changed((0, 0, 120), (1, 0, -120)),
        changed((0, 512, 0), (1, -512, 0)),
    ):
        assert q.judge_landmarks(points, q.STRICT) == q.LOOK_STRAIGHT
    assert q.judge_landmarks(changed((2, 150, 0)), q.LENIENT) == q.OK
    assert q.judge_landmarks(changed((2, 260, 0)), q.LENIENT) == q.LOOK_STRAIGHT


def test_turning_the_picture_does_not_change_nod_and_turn():
    turned = tuple((x - y // 4, y + x // 4) for x, y in FRONTAL)
    assert q.judge_landmarks(turned, q.STRICT) == q.OK


def test_no_one_and_two_people():
    assert q.choose([], q.LENIENT) == (None, q.NO_FACE)
    near, behind, beside = face(80), face(40, 10), face(60, 200)
    assert q.choose([behind, near], q.LENIENT) == (near, q.OK)
    assert q.choose([behind, near], q.STRICT) == (None, q.ONE_PERSON)
    assert q.choose([near, beside], q.LENIENT) == (None, q.ONE_PERSON)


def test_a_face_at_the_edge_must_come_to_the_middle():
    assert q.judge_place(similarity(FRONTAL), 320, 240) == q.OK
    left = tuple((x - 2300, y) for x, y in FRONTAL)
    low = tuple((x, y + 1680) for x, y in FRONTAL)
    assert q.judge_place(similarity(left), 320, 240) == q.MIDDLE
    assert q.judge_place(similarity(low), 320, 240) == q.MIDDLE


def test_light():
    assert pixels(textured(60, 180, 4)) == q.OK
    assert pixels(textured(5, 40, 4)) == q.MORE_LIGHT
    assert pixels(textured(0, 200, 4)) == q.MORE_LIGHT
    assert pixels(textured(180, 255, 4)) == q.TOO_BRIGHT
    assert pixels(textured(225, 240, 4)) == q.TOO_BRIGHT


def test_blur():
    sharp = textured(90, 160, 16)
    smeared = bytearray(sharp)
    for y in range(96):
        for x in range(5, 91):
            smeared[y * 96 + x] = sum(sharp[y * 96 + x - 5 : y * 96 + x + 6]) // 11
    assert pixels(sharp) == q.OK
    assert pixels(smeared) == q.HOLD_STILL
    assert pixels(bytearray(b"\x80" * 9216)) == q.HOLD_STILL


def test_levels_lift_a_dim_and_a_flat_face_and_leave_an_ordinary_one():
    def levelled(low: int, high: int) -> list:
        image, stats = textured(low, high, 4), array("i", [0] * q.STATS)
        measure(image, stats)
        gain, offset = q.levels(stats)
        level(image, gain, offset)
        return sorted(set(image))

    assert levelled(100, 180) == [100, 180]
    assert levelled(20, 40) == [70, 130]
    assert levelled(145, 155) == [120, 180]
    assert levelled(215, 235) == [155, 215]
    assert levelled(3, 3) == [100]


def test_each_hint_has_words():
    codes = (
        q.OK,
        q.NO_FACE,
        q.ONE_PERSON,
        q.COME_CLOSER,
        q.MIDDLE,
        q.LOOK_STRAIGHT,
        q.MORE_LIGHT,
        q.TOO_BRIGHT,
        q.HOLD_STILL,
        q.STEP_BACK,
    )
    assert codes == tuple(range(len(q.HINTS)))
    assert all(q.HINTS[1:])
