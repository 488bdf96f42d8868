"""`limits.turns` becomes `limits.requests`.

The limit counts requests to models. The key is renamed in environment.yaml and in definitions: YAML files, and the
front matter of Markdown files. Every other byte stays unchanged.
"""

from collections.abc import Iterator
from pathlib import Path

from prompt_objects.migrations.change import FileChange, ObjectChange, Target, read_source

_SUFFIXES = {".yaml", ".yml", ".md"}
_BOM = b"\xef\xbb\xbf"


def migrate(target: Target) -> Iterator[ObjectChange]:
    """Yield the change of each file that has the key: environment.yaml, then the definitions by name."""
    objects = target.folder / "objects"
    definitions = [
        path
        for path in sorted(objects.iterdir() if objects.is_dir() else ())
        if path.suffix in _SUFFIXES and not path.name.startswith(".")
    ]
    yield from _change(target.folder / "environment.yaml", "", "environment.yaml")
    for path in definitions:
        yield from _change(path, path.stem, f"objects/{path.name}")


def _change(path: Path, name: str, file_name: str) -> Iterator[ObjectChange]:
    from prompt_objects.config.yaml.edit import CannotEdit

    try:
        if not path.is_file() or not all(word in path.read_bytes() for word in (b"limits", b"turns")):
            return
        file = read_source(path)
        after = _rename(file.data, is_markdown=path.suffix == ".md")
    except OSError as error:
        yield ObjectChange(name, file_name, problem=f"It cannot be read: {error.strerror or error}.")
    except UnicodeDecodeError:
        yield ObjectChange(name, file_name, problem="It is not UTF-8 text.")
    except CannotEdit as error:
        yield ObjectChange(name, file_name, problem=str(error))
    else:
        if after != file.data:
            yield ObjectChange(name, file_name, files=(FileChange(file, after),))


def _rename(data: bytes, *, is_markdown: bool) -> bytes:
    from prompt_objects.config.yaml.document import front_matter
    from prompt_objects.config.yaml.edit import rename_key

    mark = _BOM if data.startswith(_BOM) else b""
    text = data.removeprefix(mark).decode()
    start, yaml, *rest = front_matter(text) or (text, "") if is_markdown else ("", text)
    return mark + "".join((start, rename_key(yaml, "limits", "turns", "requests"), *rest)).encode()
