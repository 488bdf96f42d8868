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
def test_the_nearest_word_is_offered_and_nothing_far_fetched(word: str, hint: str) -> None:
    assert did_you_mean(word, ["reader", "Greeter"]) == hint


def test_where_nothing_is_known_nothing_is_offered() -> None:
    assert did_you_mean("reader", []) == ""
