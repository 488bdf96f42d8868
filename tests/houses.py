"""Small environments for tests."""

from pathlib import Path

from prompt_objects.environment import Environment
from prompt_objects.llm import LLM

OBJECTS = {
    "boss": "name: boss\ndescription: Asks\ncapabilities: [helper, scout, read_file]\nprompt: You ask others.\n",
    "helper": "name: helper\ndescription: Helps\ncapabilities: [boss, scout]\nprompt: You help.\n",
    "scout": "name: scout\ndescription: Looks\ncapabilities: [list_files]\nprompt: You look.\n",
}


def make_house(folder: Path, objects: dict[str, str] = OBJECTS) -> Path:
    """Write an environment into `folder`."""
    (folder / "objects").mkdir(parents=True)
    for name, text in objects.items():
        (folder / "objects" / f"{name}.yaml").write_text(text)
    return folder


def open_house(folder: Path, llm: LLM, objects: dict[str, str] = OBJECTS) -> Environment:
    """Write an environment and open it with a model for everything."""
    return Environment.open(make_house(folder, objects), llm=llm, environ={})
