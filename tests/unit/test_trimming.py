"""How far a busy stream is trimmed behind its workers."""

from collections.abc import Sequence
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from hearth.streaming.trimming import KeepWindow


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(0, 100))
def test_all_that_is_kept_stays_and_no_more_than_one_step_beside_it(steps: Sequence[int], keep: int) -> None:
    window = KeepWindow(keep)
    start, largest = 0, max(steps, default=0)

    for settled in accumulate(steps, initial=0):  # message number n has the id (n, 0), and messages are settled in their order
        cut = window.cut(settled, (settled, 0))
        start = cut[0] if cut else start
        assert min(settled, keep) <= settled - start <= keep + largest


def test_what_was_settled_out_of_order_stays_until_all_before_it_is() -> None:
    window = KeepWindow(2)

    assert window.cut(0, (0, 0)) is None
    assert window.cut(5, (0, 0)) == (0, 0), "message 0 is not settled, five behind it are"
    assert window.cut(6, (6, 0)) is None
    assert window.cut(8, (8, 0)) == (6, 0)


def test_a_stream_that_begins_anew_is_not_trimmed_by_the_counts_of_the_one_before() -> None:
    window = KeepWindow(2)
    window.cut(100, (100, 0))

    assert window.cut(1, (201, 0)) is None
    assert window.cut(2, (202, 0)) is None
    assert window.cut(3, (203, 0)) == (201, 0)
