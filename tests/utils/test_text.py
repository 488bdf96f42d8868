import pytest

from prompt_objects.utils.text import did_you_mean, is_json, valid_unicode


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("raeder", "Did you mean 'reader'?"),
        ("READER", "Did you mean 'reader'?"),
        ("Greter", "Did you mean 'Greeter'?"),
        ("zzz", ""),
        ("", ""),
        ("x" * 1_000_000, ""),
    ],
)
def test_only_a_similar_word_is_suggested(word: str, hint: str) -> None:
    assert did_you_mean(word, ["reader", "Greeter"]) == hint


def test_without_candidates_nothing_is_suggested() -> None:
    assert did_you_mean("reader", []) == ""


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("plain é 🙂", "plain é 🙂"),
        ("\ud83d\ude42", "🙂"),
        ("a\ud83db\ude42c", "a\ufffdb\ufffdc"),
        ("\udce9", "\ufffd"),
        ("é\ud83d", "é\ufffd"),
    ],
)
def test_surrogates_are_joined_or_replaced(text: str, valid: str) -> None:
    assert valid_unicode(text) == valid


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{}", True), (" [1] ", True), ("NaN", True), ("[" * 100_000, True), ("", False), ("{", False), ("word", False)],
)
def test_a_text_that_can_be_read_as_json_is_recognized(text: str, expected: bool) -> None:
    assert is_json(text) is expected
