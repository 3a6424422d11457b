from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framecast.process.ladder import Fitter, Rung, _weight, rungs


def made(rung: Rung, detail: float) -> int:
    """Bytes of a picture with this much detail, as the model sees it."""
    return int(620 + detail * _weight(rung))


def test_the_ladder_gets_coarser_then_narrower_and_always_smaller() -> None:
    ladder = rungs(640, 85)
    assert ladder[0] == Rung(640, 85)
    assert ladder[1:7] == tuple(Rung(640, quality) for quality in (80, 70, 60, 50, 40, 30))
    assert ladder[7] == Rung(480, 50)
    assert ladder[-1] == Rung(160, 10)
    weights = [_weight(rung) for rung in ladder]
    assert weights == sorted(weights, reverse=True)


def test_a_ladder_from_below_the_smallest_size_still_has_rungs() -> None:
    assert rungs(100, 25) == (Rung(100, 25), Rung(100, 20), Rung(100, 10))


def test_a_steady_scene_costs_one_encode_a_picture() -> None:
    fitter = Fitter(20_000, rungs(640, 85))
    encodes = 0
    for _ in range(600):
        while True:
            encodes += 1
            if fitter.fits(made(fitter.rung, 0.3)):
                break
    assert encodes <= 610


def test_steps_down_at_once_and_up_again_later() -> None:
    fitter = Fitter(20_000, rungs(640, 85))
    while not fitter.fits(made(fitter.rung, 0.2)):
        pass
    low = fitter.rung
    assert low != Rung(640, 85)
    for _ in range(14):
        assert fitter.fits(made(fitter.rung, 0.02))
        assert fitter.rung == low
    for _ in range(300):
        assert fitter.fits(made(fitter.rung, 0.02))
    assert fitter.rung == Rung(640, 85)


def test_a_failed_step_up_makes_the_next_one_rarer() -> None:
    fitter = Fitter(20_000, rungs(640, 85))
    while not fitter.fits(made(fitter.rung, 0.2)):
        pass
    low = fitter.rung
    failures = 0
    for _ in range(1_000):
        # The model is wrong about this scene: it fits on the low rung only.
        if not fitter.fits(5_000 if fitter.rung == low else 20_001):
            failures += 1
            assert fitter.fits(5_000)
            assert fitter.rung == low
    assert 3 <= failures <= 8


def test_when_nothing_fits_it_says_so_and_goes_on_with_the_next_picture() -> None:
    fitter = Fitter(1_000, rungs(640, 85))
    tries = 0
    while not fitter.exhausted:
        assert not fitter.fits(50_000)
        tries += 1
    assert tries <= 4
    fitter.restart()
    assert fitter.rung == Rung(160, 10)
    assert fitter.fits(900)


@given(
    st.integers(1, 1920),
    st.integers(1, 100),
    st.integers(700, 200_000),
    st.lists(st.integers(600, 400_000), min_size=1, max_size=200),
)
def test_never_passes_what_is_too_large_and_always_ends(
    width: int, quality: int, max_bytes: int, sizes: list[int]
) -> None:
    ladder = rungs(width, quality)
    fitter = Fitter(max_bytes, ladder)
    for size in sizes:
        tries = 0
        while not fitter.exhausted:
            tries += 1
            assert tries <= len(ladder) + 1
            if fitter.fits(size):
                assert size <= max_bytes
                break
        else:
            fitter.restart()
