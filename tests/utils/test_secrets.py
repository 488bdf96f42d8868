"""Keys and passwords are removed from texts, and nothing else is."""

import pytest

from prompt_objects.utils.secrets import hide_secrets

ENVIRON = {
    "OPENAI_API_KEY": "k3y-of-mine-12",
    "DATABASE_URL": "postgresql://ann:p%40ssw0rd1@h/x",
    "SSH_AUTH_SOCK": "/tmp/agent.sock",
    "TOKEN": "short",
    "HOME": "/home/ann",
    "MONKEY": "",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the key 'k3y-of-mine-12' is wrong", "the key '***' is wrong"),
        ("password p@ssw0rd1 is wrong, p%40ssw0rd1", "password *** is wrong, ***"),
        ("cannot open 'postgresql:u:SECRET@h'", "cannot open 'postgresql:u:***@h'"),
        ("at postgresql://u:S3/CR@ET@h/x now", "at postgresql://u:***@h/x now"),
        (
            "There is an extra ': ' in 'store: postgresql: u:SECRET@h'.",
            "There is an extra ': ' in 'store: postgresql: u:***@h'.",
        ),
        ("GET https://h/x?api_key=abc&q=1", "GET https://h/x?api_key=***&q=1"),
        ("host=h password=abc user=u", "host=h password=*** user=u"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("sk-proj-abcdefghijklmnop is wrong", "sk-*** is wrong"),
    ],
)
def test_a_secret_is_hidden(text: str, shown: str) -> None:
    assert hide_secrets(text, ENVIRON) == shown


@pytest.mark.parametrize(
    "text",
    [
        "/tmp/agent.sock and /home/ann are paths, short is a word",
        "http://localhost:8080/a@b",
        'File "/x/y.py", line 12, in f',
        "write to ann@host.example, at 12:30:45",
        "skip-this-very-long-word",
        "git+https://github.com/a/b@v1",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert hide_secrets(text, ENVIRON) == text
