"""Voting over the frames of one attempt."""

from firmware.biometrics.vote import Vote

T, STRONG = 7000, 12000


def outcome(frames, **settings):
    vote = Vote(T, **settings)
    for handle, score in frames:
        won = vote.push(handle, score)
        if won is not None:
            return won
    return None


def test_two_of_three_open():
    assert outcome([(b"g", 7000), (b"g", 3000), (b"g", 7100)]) == b"g"


def test_one_frame_is_not_enough():
    assert outcome([(b"g", 11999), (b"g", 6999), (None, -16385)]) is None


def test_a_strong_frame_decides_alone_where_allowed():
    assert outcome([(b"g", 12000)], strong=STRONG) == b"g"
    assert outcome([(b"g", 16384)]) is None


def test_two_handles_do_not_add_up():
    assert outcome([(b"g", 8000), (b"a", 8000), (b"x", 8000)]) is None


def test_frames_past_the_last_do_not_count():
    assert outcome([(b"g", 8000), (b"g", 0), (b"g", 0), (b"g", 8000)]) is None


def test_over_as_soon_as_nothing_can_win():
    vote = Vote(T)
    vote.push(b"g", 0)
    assert not vote.over
    vote.push(b"g", 0)
    assert vote.over
    vote.reset()
    assert not vote.over and vote.seen == 0
    assert vote.push(b"g", T) is None and vote.push(b"g", T) == b"g"


def test_a_nonsensical_setting_is_refused():
    for settings in ({"needed": 4}, {"needed": 0}, {"strong": T - 1}):
        try:
            Vote(T, **settings)
        except ValueError:
            continue
        raise AssertionError(settings)
