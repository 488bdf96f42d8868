from prompt_objects.chat.results import Confirm, Document, Quit, Retry, Send, Table, Text
from prompt_objects.ui.render.results import draw_result
from prompt_objects.ui.render.style import plain

TABLE = Table("Sessions", ("name", "messages", "id"), [("Default", "3", "0193"), ("A longer name", "12", "0194")], 1)


def test_a_table_marks_the_current_row() -> None:
    assert plain(draw_result(TABLE, 60)).splitlines() == [
        "Sessions",
        "  name           messages  id",
        "  Default        3         0193",
        "* A longer name  12        0194",
    ]


def test_a_table_may_have_no_headings_or_no_rows() -> None:
    assert plain(draw_result(Table("Facts", ("", ""), [("a", "1")]), 60)).splitlines() == ["Facts", "  a  1"]
    assert plain(draw_result(Table("None", ("a",), []), 60)).splitlines() == ["None", "  none"]
    assert plain(draw_result(Table("A long title", ("", ""), [("a", "1")]), 9)).splitlines() == [
        "A long",
        "title",
        "  a  1",
    ]


def test_sections_have_titles_between_the_rows() -> None:
    table = Table("All", ("", ""), [("a", "1"), ("b", "2")], sections={0: "First", 1: "Second"})
    assert plain(draw_result(table, 60)).splitlines() == ["All", "", "First", "  a  1", "", "Second", "  b  2"]


def test_a_table_fits_a_narrow_screen() -> None:
    rows = [("name " * 9, "description " * 9, "0193" * 9)]
    for width in range(8, 60):
        for line in plain(draw_result(Table("T", ("a", "b", "c"), rows, 0), width)).splitlines():
            assert len(line) <= max(width, 9)


def test_cells_are_cleaned() -> None:
    drawn = plain(draw_result(Table("\x1b[2J", ("a\x07",), [("b\x9b2J\nc",)]), 60))
    assert not set(drawn) & set("\x1b\x07\x9b")
    assert len(drawn.splitlines()) == 3


def test_texts_and_documents_are_drawn_and_actions_are_not() -> None:
    assert plain(draw_result(Text("Done."), 60)) == "Done."
    assert plain(draw_result(Document("**Help**"), 60)) == "Help"
    assert plain(draw_result(Send("To be sent.", "Hello"), 60)) == "To be sent."
    assert draw_result(Retry(resume=False), 60) == draw_result(Quit(), 60) == []


def test_a_command_that_asks_for_confirmation_shows_every_character() -> None:
    text = "Delete Plan\u200b\u202eB for good?"
    (line,) = draw_result(Confirm(text, lambda: Text("")), 60)
    assert plain([line]) == "Delete Plan<U+200B><U+202E>B for good?"
