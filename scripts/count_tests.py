"""Print the table of docs/proof.md that lists the tests for each kind of fault, with their numbers.

    python scripts/count_tests.py

A test with parameters counts once for each set of them, and a property test once, whatever number of examples it
generates. Needs the extra `test`.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = {
    "An environment of someone else does nothing before it is trusted.": (
        "environment/test_trust.py",
        "environment/test_authority.py",
        "environment/test_grants.py",
        "environment/test_locate.py",
        "cli/commands/test_trust.py",
        "cli/test_trust_question.py",
    ),
    "Commands that only read write nothing.": ("cli/test_reading_commands.py", "sessions/stores/test_read_only.py"),
    "A question shows exactly what runs.": (
        "ui/render/test_reveal.py",
        "ui/render/test_questions.py",
        "ui/render/test_diff.py",
        "tools/test_approval.py",
    ),
    "A pattern permits only what it names.": (
        "config/test_patterns.py",
        "config/test_glob.py",
        "config/test_argument_kind.py",
        "tools/test_protected_files.py",
    ),
    "Text controls no terminal, and errors show no secrets.": (
        "ui/render/test_sanitize.py",
        "utils/test_secrets.py",
        "cli/test_unhandled.py",
    ),
    "Whatever a server sends is bounded, and no text is lost.": (
        "llm/chat_api/test_response.py",
        "llm/chat_api/test_streamed_calls.py",
        "llm/chat_api/test_sse.py",
        "llm/chat_api/test_client_responses.py",
    ),
    "What is sent is valid for strict servers.": (
        "llm/chat_api/test_assemble.py",
        "llm/chat_api/test_adapt.py",
        "llm/chat_api/test_dialect.py",
        "llm/chat_api/test_extra_fields.py",
    ),
    "An error shows the server's sentence, and what helps.": (
        "llm/chat_api/test_server_errors.py",
        "llm/chat_api/test_client_failures.py",
        "turns/test_error_hints.py",
    ),
    "Nothing waits silently, or cannot be left.": ("utils/test_waiting.py", "terminal/test_two_windows.py"),
    "A response that cannot be saved is kept elsewhere.": ("sessions/test_unsaved.py", "turns/test_saving.py"),
    "A damaged or older file loses nothing, and is reported.": (
        "sessions/stores/file/test_damage.py",
        "sessions/stores/file/test_check.py",
        "sessions/stores/file/test_check_copies.py",
        "sessions/stores/file/test_index.py",
    ),
    "An answer's request frame is kept once, and as long as it is needed.": (
        "sessions/stores/contract/test_frames.py",
        "sessions/stores/file/test_frames.py",
        "sessions/test_frames.py",
    ),
    "MCP servers of all kinds work, or fail with a reason.": ("mcp/",),
    "Environments of the Ruby implementation open.": ("environment/test_ruby.py",),
}


def main() -> None:
    """Print the table."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    counts = Counter(line.partition("::")[0].removeprefix("tests/") for line in listed.splitlines() if "::" in line)
    print("| promise | tests | number |\n|---|---|---|")
    for promise, files in KINDS.items():
        number = sum(count for file, count in counts.items() if file.startswith(files))
        names = ", ".join(f"`tests/{file}`" for file in files)
        print(f"| {promise} | {names} | {number} |")


if __name__ == "__main__":
    main()
