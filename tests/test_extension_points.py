"""A new setting or event is one declaration. Tools, stores, formats and commands have such tests in their folders."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from prompt_objects.config import environment, environment_schema
from prompt_objects.config.environment import CONFIG_FILE, Config, load_config
from prompt_objects.config.environment_schema import ConfigSchema, store_options
from prompt_objects.config.maintenance import BackupSettings, PruneSettings
from prompt_objects.runtime.events import Event, EventBus
from prompt_objects.trace.log import encode_event
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.style import plain
from tests.support.paths import DOCS


class PageOpened(Event, frozen=True, kw_only=True):
    """An event that nothing else in the program knows."""

    url: str


async def test_an_event_is_one_class() -> None:
    event = PageOpened(run="r", root="r", path=("scout",), session_id="s", url="http://localhost")
    bus = EventBus()
    with bus.subscribe() as subscription:
        bus.publish(event)
        assert await anext(aiter(subscription)) == event
    stored = json.loads(encode_event(event))
    assert (stored["event"], stored["url"], stored["path"]) == ("PageOpened", "http://localhost", ["scout"])
    assert plain(headline(event, 80)).endswith("scout: PageOpened")


def test_a_setting_is_a_field_of_the_form_and_its_value_a_field_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [("greeting", str | None, None)]
    form = msgspec.defstruct("F", added, bases=(ConfigSchema,), frozen=True, forbid_unknown_fields=True)
    monkeypatch.setattr(environment_schema, "ConfigSchema", form)
    monkeypatch.setattr(environment, "Config", msgspec.defstruct("C", added, bases=(Config,), frozen=True))
    (tmp_path / CONFIG_FILE).write_text("greeting: Hello\nuser: ann\n")
    config = load_config(tmp_path, {})
    assert (msgspec.structs.asdict(config)["greeting"], config.user) == ("Hello", "ann")


def test_every_setting_is_in_the_loaded_config_or_an_option_of_the_store() -> None:
    others = [name for name in ConfigSchema.__struct_fields__ if name not in Config.__struct_fields__]
    unused = [name for name in others if not store_options(msgspec.convert({name: 1}, ConfigSchema))]
    assert unused == ["logs"]  # reserved for later versions; a notice says that it has no effect


def test_the_reference_lists_every_setting() -> None:
    page = (DOCS / "environment.md").read_text(encoding="utf-8")
    rows = {
        key for row in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE) for key in re.findall(r"`([\w.]+)`", row)
    }
    names = [*ConfigSchema.__struct_fields__]
    names += [f"backups.{name}" for name in BackupSettings.__struct_fields__]
    names += [f"prune.{name}" for name in PruneSettings.__struct_fields__]
    assert [name for name in names if name not in rows] == []
