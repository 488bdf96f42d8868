from prompt_objects.chat.results import Document, Quit, Retry, Send, Table, Text
from prompt_objects.ui.render.results import draw
from prompt_objects.ui.render.style import plain

TABLE = Table("Sessions", ("name", "messages", "id"), [("Default", "3", "0193"), ("A longer name", "12", "0194")], 1)


def test_a_table_marks_the_current_row_with_a_sign() -> None:
    assert plain(draw(TABLE, 60)).splitlines() == [
        "Sessions",
        "  name           messages  id",
        "  Default        3         0193",
        "* A longer name  12        0194",
    ]


def test_a_table_without_heads_or_rows_is_drawn_as_well() -> None:
    assert plain(draw(Table("Facts", ("", ""), [("a", "1")]), 60)).splitlines() == ["Facts", "  a  1"]
    assert plain(draw(Table("None", ("a",), []), 60)).splitlines() == ["None", "  none"]


def test_a_table_fits_a_narrow_screen() -> None:
    rows = [("name " * 9, "description " * 9, "0193" * 9)]
    for width in range(8, 60):
        for line in plain(draw(Table("T", ("a", "b", "c"), rows, 0), width)).splitlines():
            assert len(line) <= max(width, 9)


def test_cells_are_cleaned() -> None:
    drawn = plain(draw(Table("\x1b[2J", ("a\x07",), [("b\x9b2J\nc",)]), 60))
    assert not set(drawn) & set("\x1b\x07\x9b")
    assert len(drawn.splitlines()) == 3


def test_sentences_and_documents_are_drawn_and_actions_are_not() -> None:
    assert plain(draw(Text("Done."), 60)) == "Done."
    assert plain(draw(Document("**Help**"), 60)) == "Help"
    assert plain(draw(Send("To be sent.", "Hello"), 60)) == "To be sent."
    assert draw(Retry(anew=True), 60) == draw(Quit(), 60) == []
