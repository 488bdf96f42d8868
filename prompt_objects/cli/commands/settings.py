"""`prompt-objects settings`: show the settings that apply, and where each comes from."""

import os
from argparse import Namespace
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from prompt_objects.cli.command import argument, shell_command
from prompt_objects.cli.json_output import format_table, print_result
from prompt_objects.cli.streams import print_err
from prompt_objects.cli.targets import environment_folder

if TYPE_CHECKING:
    from prompt_objects.config.sources import SettingSource


class SettingJson(Struct):
    """A setting that applies."""

    name: str
    value: Annotated[Any, Meta(description="as it is written, without passwords")]
    source: Annotated[str, Meta(description="the file or the environment variable")]


@shell_command(
    "settings",
    argument("--schema", action="store_true", help="print the JSON Schema of settings.yaml, for editors"),
    output=list[SettingJson],
)
def settings(options: Namespace) -> None:
    """Show the settings that apply here, and where each comes from.

    An option of a command and a definition take precedence over all of them. Your own settings, for all environments,
    are in settings.yaml.
    """
    from prompt_objects.cli.json_output import print_json
    from prompt_objects.config.environment import read_config_document
    from prompt_objects.config.environment_schema import settings_schema
    from prompt_objects.config.settings import settings_file
    from prompt_objects.config.sources import find_sources
    from prompt_objects.environment.authority import Authority

    if options.schema:
        print_json(settings_schema())
        return
    folder = environment_folder(options)
    document = read_config_document(folder)
    authority = Authority.of_user(folder, document, trust=options.trust)
    authority.apply(document, os.environ)
    if authority.is_restricted and document and isinstance(document.data, dict):
        document.data.pop("mcp_servers", None)  # they stay known, and do not start
    print_err(*filter(None, [authority.notice]))
    found = [_as_json(each) for each in find_sources(document, os.environ)]
    rows = [(each.name, f"{each.value}", each.source) for each in found]
    print_result(options, found, format_table(rows))
    if not found:
        print_err("Nothing is set here: the defaults apply.")
    print_err(f"Your own settings, for all environments, belong in {settings_file()}")


def _as_json(setting: "SettingSource") -> SettingJson:
    from prompt_objects.sessions.stores.url import mask_passwords

    value = mask_passwords(str(setting.value)) if setting.name == "store" else setting.value
    return SettingJson(setting.name, value, setting.source)
