"""The policy of a tool: the definition's own, unless the environment forbids its effect."""

import pytest

from prompt_objects.config.permissions import (
    DEFAULT_POLICIES,
    ApprovalPolicy,
    effect_of_server,
    effective_policy,
    stricter,
)


@pytest.mark.parametrize(
    ("own", "default", "policy"),
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
def test_a_definition_overrides_every_policy_but_never(
    own: ApprovalPolicy | None, default: ApprovalPolicy, policy: ApprovalPolicy
) -> None:
    assert effective_policy(own, default) == policy


def test_by_default_only_reading_needs_no_approval() -> None:
    assert {effect for effect, policy in DEFAULT_POLICIES.items() if effective_policy(None, policy) == "always"} == {
        "read"
    }


def test_a_server_without_a_url_is_a_program_that_is_started() -> None:
    assert effect_of_server(None) == "execute"
    assert effect_of_server("https://example.org/mcp") == "network"


def test_the_stricter_of_two_policies_is_used() -> None:
    assert stricter("always", "ask") == "ask"
    assert stricter("never", "ask") == "never"
