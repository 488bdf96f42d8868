from prompt_objects.ui.toolbar import fitted

PARTS = ("coordinator", "A session", "12 messages", "gpt-5", "1.2k tokens")


def test_all_is_shown_where_there_is_room() -> None:
    assert fitted(PARTS, 80) == "coordinator · A session · 12 messages · gpt-5 · 1.2k tokens"


def test_parts_are_dropped_from_the_right() -> None:
    assert fitted(PARTS, 40) == "coordinator · A session · 12 messages"
    assert fitted(PARTS, 8) == "coordin…"
