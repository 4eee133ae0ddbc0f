"""The gallery tells handles apart, forgets what it is told to, and compares nothing of another model."""

from array import array

from firmware.base.errors import BadRequest, ModelMismatch, NotFound, VaultFull
from firmware.base.integers import isqrt
from firmware.biometrics.dot import dots
from firmware.biometrics.match import NO_SCORE, Gallery, cosine_q14, length_q8

MODEL = b"model--1"
OTHER = b"model--2"


def vector(seed: int) -> array:
    """Pseudo-random int8[128], the same on every machine."""
    out = array("b", bytes(128))
    for i in range(128):
        seed = (seed * 75 + 74) % 65537
        out[i] = seed % 255 - 127
    return out


def bent(seed: int, other: int, share: int) -> array:
    """`seed`'s vector with `share` per cent of `other`'s mixed in."""
    a, b = vector(seed), vector(other)
    return array("b", [((100 - share) * x + share * y) // 100 for x, y in zip(a, b)])


def gallery(capacity: int = 8) -> Gallery:
    g = Gallery(MODEL, dots, capacity)
    g.add(b"grace", MODEL, [vector(1), vector(2)])
    g.add(b"ada", MODEL, [vector(3)])
    return g


def raises(error, call, *args) -> None:
    try:
        call(*args)
    except error:
        return
    raise AssertionError("no %s" % error.__name__)


def test_dot_product_is_signed():
    extremes = array("b", [-128] * 128)
    out = [0]
    dots(extremes, extremes, 0, 1, out)
    assert out == [128 * 128 * 128]
    dots(extremes, array("b", [127] * 128), 0, 1, out)
    assert out == [-128 * 127 * 128]
    a, b = vector(5), vector(6)
    dots(a, b, 0, 1, out)
    assert out[0] == sum(x * y for x, y in zip(a, b))


def test_integer_root():
    for n in (0, 1, 2, 3, 4, 15, 16, 17, 1 << 20, (1 << 37) - 1, (3**23) ** 2, (3**23) ** 2 - 1):
        root = isqrt(n)
        assert root * root <= n < (root + 1) * (root + 1)


def test_cosine_of_a_vector_with_itself_and_its_opposite():
    a = vector(7)
    square = sum(x * x for x in a)
    assert abs(cosine_q14(square, length_q8(square), length_q8(square)) - 16384) <= 1
    assert abs(cosine_q14(-square, length_q8(square), length_q8(square)) + 16384) <= 1
    assert cosine_q14(0, 0, 5) == NO_SCORE


def test_best_and_second_best():
    handle, score, second, second_score = gallery().match(bent(2, 9, 20), MODEL)
    assert (handle, second) == (b"grace", b"ada")
    assert score > 15000 > 8000 > second_score


def test_only_candidates_are_compared():
    g = gallery()
    assert g.match(vector(2), MODEL, [b"ada"])[0] == b"ada"
    assert g.match(vector(2), MODEL, [b"nobody"]) == (None, NO_SCORE, None, NO_SCORE)
    assert g.match(vector(2), MODEL, [])[0] is None
    assert g.match(vector(2), MODEL, [b"grace", b"grace"])[2] is None


def test_removal_leaves_no_byte():
    g = gallery()
    assert g.remove(b"grace") and not g.remove(b"grace")
    assert b"grace" not in g and len(g) == 1
    handle, score, second, _ = g.match(vector(1), MODEL)
    assert handle == b"ada" and score < 8000 and second is None
    raises(NotFound, g.score, vector(1), MODEL, b"grace")
    g.clear()
    assert not any(g._table) and not any(g._lengths)


def test_new_templates_take_the_place_of_old_ones():
    g = gallery()
    g.add(b"grace", MODEL, [vector(4)])
    assert len(g) == 2
    assert g.score(vector(4), MODEL, b"grace") > 16380
    assert g.score(vector(2), MODEL, b"grace") < 8000


def test_another_model_is_not_compared():
    g = gallery()
    raises(ModelMismatch, g.match, vector(1), OTHER)
    raises(ModelMismatch, g.add, b"eve", OTHER, [vector(5)])
    assert b"eve" not in g


def test_bad_templates_change_nothing():
    g = gallery()
    for templates in ([], [vector(1)] * 5, [b"short"], [vector(1), bytes(128)]):
        raises(BadRequest, g.add, b"grace", MODEL, templates)
    assert g.score(vector(2), MODEL, b"grace") > 16380
    assert g.match(bytes(128), MODEL)[0] is None


def test_a_full_gallery_says_so_and_has_room_after_a_removal():
    g = gallery(2)
    raises(VaultFull, g.add, b"eve", MODEL, [vector(5)])
    g.add(b"ada", MODEL, [vector(6)])
    g.remove(b"grace")
    g.add(b"eve", MODEL, [vector(5)])
    assert sorted(g.handles()) == [b"ada", b"eve"]
