import pytest

from prompt_objects.utils.text import did_you_mean


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
