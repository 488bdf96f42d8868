"""`prompt-objects objects …`: the prompt objects of an environment, from the shell."""

import sys
from argparse import Namespace

from prompt_objects.cli.json_output import object_fields
from prompt_objects.cli.streams import print_err, print_out, put_as_json
from prompt_objects.cli.targets import open_environment
from prompt_objects.ui.render.sanitize import clean, clean_line

__all__ = [
    "list_",
    "show",
]


def list_(options: Namespace) -> int:
    """Print one line a prompt object; the exit code is 1 where one is faulty."""
    with open_environment(options) as environment:
        known = environment.objects
        _, clashes = environment.catalog.files()
        if options.json:
            put_as_json([object_fields(po) for po in known.values()])
        else:
            width = max(map(len, known), default=0)
            for name, po in known.items():
                print_out(
                    clean_line(f"{name:{width}}  {f'faulty: {po.fault}' if po.fault else po.description}").rstrip()
                )
        for clash in clashes:
            print_err(f"faulty: {clash}")
        for notice in (*environment.config.notices, *environment.catalog.notices()):
            print_err(notice)
        return 1 if clashes or any(po.fault for po in known.values()) else 0


def show(options: Namespace) -> None:
    """Print the definition of a prompt object; raises what is wrong with it."""
    with open_environment(options) as environment:
        po = environment[options.name]
        definition = po.definition
        if options.json:
            fields = {**object_fields(po), "prompt": definition.prompt}
            put_as_json(fields)
        else:
            text = definition.file.read_text(encoding="utf-8")
            print_out(clean(text) if sys.stdout.isatty() else text, end="")
