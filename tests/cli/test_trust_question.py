"""The question of trust shows every character."""

from pathlib import Path

import pytest

from prompt_objects.cli.trust_question import print_grants
from prompt_objects.environment.grants import make_grant
from prompt_objects.environment.trust import Decision


def test_the_folder_and_what_it_brings_are_shown_with_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    grant = make_grant("mcp_servers.a: runs sh -c ls\x1b]; rm x\x07 ex\u0430mple", "content")
    print_grants(Path("/home/ann/te\x1b[2Jam"), Decision(accepted=False), [grant])
    print_grants(Path("/home/ann/te\u202eam"), Decision(accepted=False), [])
    shown = capsys.readouterr().out
    assert shown.split("\n")[:3] == [
        "/home/ann/te␛[2Jam would do this, beyond the defaults:",
        "  - mcp_servers.a: runs sh -c ls␛]; rm x␇ ex<U+0430>mple",
        "/home/ann/te<U+202E>am brings nothing that needs your trust.",
    ]
