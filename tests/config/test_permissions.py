"""What holds for a tool: the definition's own word, within what the environment says of its effect."""

import pytest

from prompt_objects.config.permissions import (
    DEFAULT_POLICIES,
    ApprovalPolicy,
    effect_of_server,
    effective_policy,
    stricter,
)


@pytest.mark.parametrize(
    ("own", "usual", "holds"),
    [
        (None, "ask", "ask"),
        (None, "always", "always"),
        ("always", "ask", "always"),
        ("ask", "always", "ask"),
        ("never", "always", "never"),
        (None, "never", "never"),
        ("always", "never", "never"),
        ("ask", "never", "never"),
    ],
)
def test_a_definitions_own_word_counts_but_what_is_forbidden_it_cannot_allow(
    own: ApprovalPolicy | None, usual: ApprovalPolicy, holds: ApprovalPolicy
) -> None:
    assert effective_policy(own, usual) == holds


def test_only_what_reads_runs_unasked_where_nothing_is_said() -> None:
    assert {
        effect for effect, approval in DEFAULT_POLICIES.items() if effective_policy(None, approval) == "always"
    } == {"read"}


def test_a_server_without_a_url_is_a_program_that_is_started() -> None:
    assert effect_of_server(None) == "execute"
    assert effect_of_server("https://example.org/mcp") == "network"


def test_of_two_the_stricter_counts() -> None:
    assert stricter("always", "ask") == "ask"
    assert stricter("never", "ask") == "never"
