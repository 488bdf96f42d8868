"""The layout of tables."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.ui.render.table import MAX_CELL_LINES, layout
from prompt_objects.ui.render.text import cell_width

SESSIONS = [
    ("A rather long name of a session that is wrapped at words", "coordinator", "1,200 messages", "13 months ago"),
    ("Default", "reader", "2 messages", "just now"),
]


def lines(rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    return [line for row in layout(rows, width) for line in row]


def test_columns_are_aligned_and_wrapped_at_words() -> None:
    assert lines(SESSIONS, 70) == [
        "A rather long name of a     coordinator  1,200 messages  13 months ago",
        "session that is wrapped at",
        "words",
        "Default                     reader       2 messages      just now",
    ]


def test_no_word_is_broken_at_80_columns() -> None:
    words = {word for row in SESSIONS for cell in row for word in cell.split()}
    assert {word for line in lines(SESSIONS, 80) for word in line.split()} <= words


def test_a_long_word_of_the_last_column_stands_below_the_row_and_is_not_broken() -> None:
    rows = [("Plans", "reader", "2 messages", "0193a1b2-0000-7000-8000-000000000000.json.gz")]
    assert lines(rows, 60) == ["Plans  reader  2 messages", f"    {rows[0][-1]}"]


def test_a_long_cell_is_cut() -> None:
    drawn = lines([("name", "word " * 500)], 40)
    assert len(drawn) == MAX_CELL_LINES
    assert drawn[-1].endswith("…")


@given(
    st.integers(8, 100),
    st.integers(1, 5).flatmap(
        lambda count: st.lists(st.tuples(*[st.text(st.characters(categories=["L", "Zs"]))] * count), min_size=1)
    ),
)
def test_every_table_fits(width: int, rows: list[tuple[str, ...]]) -> None:
    assert all(cell_width(line) <= width for line in lines(rows, width))
