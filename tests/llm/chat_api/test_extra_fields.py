"""Fields that servers want back are joined from their pieces."""

from typing import Any

from prompt_objects.llm.chat_api.extra_fields import ExtraFields


def joined(*deltas: dict[str, Any]) -> dict[str, Any]:
    fields = ExtraFields()
    for delta in deltas:
        fields.add(delta)
    return fields.joined()


def test_texts_are_joined_and_of_other_values_the_last_one_counts() -> None:
    assert joined(
        {"role": "assistant", "reasoning_content": "I ", "audio": {"id": 1}},
        {"content": "x", "reasoning_content": "see", "audio": {"id": 2}, "empty": None, "list": []},
    ) == {"reasoning_content": "I see", "audio": {"id": 2}}


def test_items_of_lists_are_joined_by_index_and_type() -> None:
    text = {"type": "reasoning.text", "index": 0, "format": "f"}
    assert joined(
        {"reasoning_details": [{**text, "text": "I "}]},
        {"reasoning_details": [{**text, "text": "see", "signature": None}]},
        {"reasoning_details": [{**text, "signature": "S"}, {"type": "reasoning.encrypted", "data": "E"}, "other"]},
    ) == {
        "reasoning_details": [
            {**text, "text": "I see", "signature": "S"},
            {"type": "reasoning.encrypted", "data": "E"},
            "other",
        ]
    }
