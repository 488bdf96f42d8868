"""The examples in the documentation do what the pages say."""

import ast
import asyncio
import inspect
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.definition import load_definition
from prompt_objects.config.environment import load_config
from prompt_objects.config.environment_schema import VARIABLE_PATTERN
from prompt_objects.config.settings import load_settings, settings_file
from prompt_objects.llm.connect import connect
from prompt_objects.llm.providers import PROVIDERS
from tests.support.doc_examples import Example, Scenario, examples, normalized, pages, pattern_of, steps
from tests.support.paths import DOCS

PAGES = pages()
YAML = [
    example
    for page in PAGES
    for example in examples(page)
    if example.language == "yaml" and "not run" not in example.marks
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_and_print_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario(tmp_path)
    monkeypatch.setenv("PROMPT_OBJECTS_MODEL", "rehearsal")
    names: dict[str, Any] = {}
    for example in examples(page):
        if "not run" in example.marks:
            assert example.marks["not run"], f"{example}: say why"
            continue
        if "new folder" in example.marks:
            scenario.new_folder()
        if "environment" in example.marks:
            scenario.new_environment()
        if "setup" in example.marks:
            scenario.set_up(example.marks["setup"])
        if "chat" in example.marks:
            scenario.chat(example.text, example.marks["chat"])
            continue
        scenario.end_chat()
        if example.file:
            scenario.write(example.file, example.text)
        elif example.language == "console":
            name = example.marks.get("in use")
            with scenario.in_use(name) if name else nullcontext():
                check_console(example, scenario)
        elif example.language == "python":
            monkeypatch.chdir(scenario.folder)
            run_python(example, names)
    scenario.end_chat()


def check_console(example: Example, scenario: Scenario) -> None:
    for command, shown in steps(example):
        code, output, errors = scenario.run(command)
        printed = normalized(errors + output), normalized(output + errors)  # a terminal shows both, in any order
        is_shown = any(re.fullmatch(pattern_of(shown), text) for text in printed)
        assert is_shown or not shown, f"{example}: {command}\n{errors}{output}"
        is_failure = any(line.startswith("error: ") for line in shown)
        expected = int(example.marks.get("exit", "0"))
        assert is_failure or code == expected, f"{example}: {command} ends with {code}\n{errors}{output}"


def run_python(example: Example, names: dict[str, Any]) -> None:
    """Run an example; it may await at its top level."""
    code = compile("\n" * example.line + example.text, example.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)


@pytest.mark.parametrize("example", YAML, ids=str)
def test_a_yaml_example_is_valid(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if example.file == "settings.yaml":
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        settings_file().parent.mkdir()
        settings_file().write_text(example.text, encoding="utf-8")
        assert load_settings({})
        return
    if not example.file.startswith("objects/"):
        assert example.file == "environment.yaml", "begin it with a comment that names its file"
        load_example(example, tmp_path)
        return
    file = tmp_path / Path(example.file).name
    missing = "".join(
        f"{key}: {file.stem}\n"
        for key in ("name", "prompt")
        if not re.search(rf"^{key}:", example.text, re.MULTILINE)
    )
    file.write_text(example.text + missing, encoding="utf-8")
    assert load_definition(file).name == file.stem


def load_example(example: Example, folder: Path) -> Any:
    (folder / "environment.yaml").write_text(example.text, encoding="utf-8")
    return load_config(folder, dict.fromkeys(VARIABLE_PATTERN.findall(example.text), "value"))


@pytest.mark.parametrize(
    "example", [e for e in YAML if e.page == "docs/models.md" and e.file == "environment.yaml"], ids=str
)
def test_a_recipe_leads_to_its_server(example: Example, tmp_path: Path) -> None:
    config = load_example(example, tmp_path)
    assert config.models
    for name, model in config.models.items():
        provider = PROVIDERS[model.provider or "openai"]
        connection = connect(name, config, {model.api_key_env or provider.key_names[0]: "key"})
        assert connection.llm.model == (model.model or provider.model)
        host = (model.base_url or provider.base_url).split("/")[2]
        assert connection.origin.endswith(f"://{host}")
        asyncio.run(connection.llm.close())


def test_each_page_says_first_what_it_is() -> None:
    for page in DOCS.glob("*.md"):
        assert page.read_text(encoding="utf-8").startswith("# "), page.name
