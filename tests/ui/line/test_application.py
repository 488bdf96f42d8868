import pytest
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout.screen import Char, Screen

from prompt_objects.ui.line.application import reflows, rows_above


def drawn(*rows: str) -> Screen:
    screen = Screen()
    for y, row in enumerate(rows):
        for x, char in enumerate(row):
            screen.data_buffer[y][x] = Char(char)
    return screen


@pytest.mark.parametrize(("columns", "above"), [(40, 3), (20, 3), (19, 4), (10, 4), (5, 7), (4, 10)])
def test_rows_are_counted_as_a_narrower_terminal_wraps_them(columns: int, above: int) -> None:
    screen = drawn("x" * 20, "", "x" * 10 + " " * 20, "prompt")
    assert rows_above(screen, Point(x=4, y=3), columns) == above


def test_only_known_terminals_are_assumed_to_wrap_lines_again() -> None:
    assert reflows({"TERM_PROGRAM": "iTerm.app"})
    assert reflows({"TMUX": "/tmp/tmux"})
    assert not reflows({"TERM": "xterm"})
    assert not reflows({"TMUX": "/tmp/tmux", "STY": "a screen in between"})
