"""`prompt-objects objects …`: the prompt objects of an environment, from the shell."""

import json
import sys
from argparse import Namespace

from prompt_objects.cli.opening import open_environment
from prompt_objects.prompt_object import PromptObject
from prompt_objects.ui.sanitize import clean, clean_line

__all__ = ["list_", "show"]


def list_(options: Namespace) -> int:
    """Print one line a prompt object; the exit code is 1 where one is faulty."""
    with open_environment(options) as environment:
        known = environment.objects
        clashes = environment.catalogue.clashes()
        if options.json:
            print(json.dumps([_fields(po) for po in known.values()], ensure_ascii=False, indent=2))
        else:
            width = max(map(len, known), default=0)
            for name, po in known.items():
                print(clean_line(f"{name:{width}}  {f'faulty: {po.fault}' if po.fault else po.description}"))
        for clash in clashes:
            print(clean_line(f"faulty: {clash}"), file=sys.stderr)
        return 1 if clashes or any(po.fault for po in known.values()) else 0


def show(options: Namespace) -> None:
    """Print the definition of a prompt object; raises what is wrong with it."""
    with open_environment(options) as environment:
        po = environment[options.name]
        definition = po.definition
        if options.json:
            print(json.dumps({**_fields(po), "prompt": definition.prompt}, ensure_ascii=False, indent=2))
        else:
            text = definition.file.read_text(encoding="utf-8")
            print(clean(text) if sys.stdout.isatty() else text, end="")
        for notice in definition.notices:
            print(clean_line(notice), file=sys.stderr)


def _fields(po: PromptObject) -> dict[str, object]:
    """Build what `--json` prints of a prompt object: its keys are documented and stay."""
    if po.fault:
        return {"name": po.name, "fault": str(po.fault)}
    definition = po.definition
    return {
        "name": po.name,
        "description": definition.description,
        "model": definition.model.use if definition.model else None,
        "capabilities": [capability.name for capability in definition.capabilities],
        "file": str(definition.file),
        "fault": None,
    }
