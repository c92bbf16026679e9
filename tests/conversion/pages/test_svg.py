from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.pages.svg import Axis, element, number, path, picture, round_step, runs


def test_texts_and_attributes_are_escaped() -> None:
    made = element("text", '<script>"&', x=1.5, aria_label='"><b>', class_=None)
    assert made == '<text x="1.5" aria-label="&#34;&gt;&lt;b&gt;">&lt;script&gt;&#34;&amp;</text>'


def test_elements_are_not_escaped_again() -> None:
    assert element("g", element("text", "a & b")) == "<g><text>a &amp; b</text></g>"


def test_a_picture_says_what_it_shows_or_hides_from_those_who_hear_it() -> None:
    assert 'role="img" aria-label="A &amp; B"' in picture("", 10, 5, "A & B", "chart")
    hidden = picture("", 10, 5, None, "bar", stretched=True)
    assert 'aria-hidden="true"' in hidden
    assert "role" not in hidden
    assert 'viewBox="0 0 10 5" preserveAspectRatio="none"' in hidden


def test_a_path_of_points() -> None:
    assert path([(0.0, 1.0), (2.25, 3.0)]) == "M0 1L2.25 3"


@given(st.floats(-1e6, 1e6))
def test_a_coordinate_is_within_half_a_hundredth(value: float) -> None:
    written = number(value)
    assert abs(float(written) - value) <= 0.00501
    assert "e" not in written
    assert written != "-0"


def test_values_are_split_at_gaps() -> None:
    assert list(runs([None, 1.0, 2.0, None, None, 3.0])) == [[1, 2], [5]]
    assert list(runs([])) == []
    assert list(runs([None])) == []


@pytest.mark.parametrize(
    ("span", "most", "step"), [(1.0, 5, 0.2), (0.05, 5, 0.01), (7.0, 5, 2.0), (5.0, 5, 1.0), (0.0, 5, 1.0)]
)
def test_steps_are_round(span: float, most: int, step: float) -> None:
    assert round_step(span, most) == pytest.approx(step)


@given(st.floats(1e-6, 1e6), st.integers(1, 10))
def test_steps_divide_a_span_into_few_parts(span: float, most: int) -> None:
    step = round_step(span, most)
    assert span / step <= most + 1e-6
    assert span / step >= most / 2.5 - 1e-6


def test_shares_of_an_axis() -> None:
    plain = Axis("", 0.0, 4.0, ())
    assert [plain.share(value) for value in (-1.0, 0.0, 1.0, 4.0, 9.0)] == [0.0, 0.0, 0.25, 1.0, 1.0]
    powers = Axis("", 0.001, 1.0, (), is_log=True)
    assert [powers.share(value) for value in (0.0, 0.001, 0.01, 0.1, 1.0)] == pytest.approx(
        [0, 0, 1 / 3, 2 / 3, 1]
    )
    assert Axis("", 2.0, 2.0, ()).share(2.0) == 0.0
