"""environment.yaml and the environment variables: how an environment is set up.

`${NAME}` in any text of environment.yaml stands for that variable of the process environment; secrets belong
there and nowhere else.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

from msgspec import Meta, Struct

from prompt_objects.errors import ConfigError, UsageError
from prompt_objects.limits import GivenLimits
from prompt_objects.spelling import did_you_mean
from prompt_objects.typed_yaml import WORDS, convert
from prompt_objects.yaml_document import YamlDocument, parse, read_text, shown

__all__ = ["CONFIG_FILE", "Config", "EditingMode", "ModelConfig", "Prices", "load_config"]

CONFIG_FILE = "environment.yaml"
DATA_DIR = ".prompt_objects"

EditingMode: TypeAlias = Literal["emacs", "vi"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Filled: TypeAlias = Annotated[str, Meta(pattern=r"\S", extra={WORDS: "text that is not empty"})]
_Url: TypeAlias = Annotated[
    str, Meta(pattern=r"^https?://\S+$", extra={WORDS: "a URL that starts with http:// or https://"})
]
_Variable: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", extra={WORDS: "the name of an environment variable"})
]
_Price: TypeAlias = Annotated[float, Meta(ge=0)]


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs, in US dollars for a million tokens."""

    prompt: _Price
    completion: _Price


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A model by the name that its server knows, and where that server is.

    `api_key_env` names the variable that holds the key. `context_window` is in tokens, `timeout` in seconds.
    """

    model: _Filled
    base_url: _Url | None = None
    api_key_env: _Variable | None = None
    context_window: Annotated[int, Meta(ge=1)] | None = None
    prices: Prices | None = None
    timeout: Annotated[float, Meta(gt=0)] | None = None


class _Form(Struct, frozen=True, forbid_unknown_fields=True):
    """environment.yaml as it is written."""

    default_object: _Filled | None = None
    data_dir: _Filled | None = None
    model: _Filled | None = None
    models: dict[str, ModelConfig] | None = None
    limits: GivenLimits | None = None
    user: _Filled | None = None
    editing_mode: EditingMode | None = None


class Config(Struct, frozen=True, kw_only=True):
    """How an environment is set up.

    `model` is the default: a key of `models` or a model's own name; None when nobody chose one. `data_dir`
    is where the environment's state lives. `limits` bound every object's own, and count where it gives none.
    """

    data_dir: Path
    default_object: str | None = None
    model: str | None = None
    models: Mapping[str, ModelConfig] = {}
    limits: GivenLimits = GivenLimits()
    user: str | None = None
    editing_mode: EditingMode = "emacs"


def load_config(folder: Path, environ: Mapping[str, str]) -> Config:
    """Read a folder's environment.yaml, if there is one; environment variables prevail over it.

    Raises `ConfigError`, with line and column, where the file is wrong, and `UsageError` where a variable is.
    """
    file = folder / CONFIG_FILE
    form, data_dir = _Form(), folder / DATA_DIR
    if file.exists() or file.is_symlink():
        document = parse(read_text(file, ConfigError), file, ConfigError)
        _expand(document, document.data, (), environ, set())
        if document.data is not None:
            form = convert(document, _Form)
            data_dir = _data_dir(document, form, folder)
    return Config(
        data_dir=data_dir,
        default_object=form.default_object,
        model=_default_model(form, environ),
        models=form.models or {},
        limits=form.limits or GivenLimits(),
        user=form.user,
        editing_mode=_editing_mode(environ) or form.editing_mode or "emacs",
    )


def _default_model(form: _Form, environ: Mapping[str, str]) -> str | None:
    named = environ.get("PROMPT_OBJECTS_MODEL") or form.model
    return named or ("default" if "default" in (form.models or {}) else None)


def _editing_mode(environ: Mapping[str, str]) -> EditingMode | None:
    mode = environ.get("PROMPT_OBJECTS_EDITING_MODE")
    if not mode:
        return None
    modes = get_args(EditingMode)
    if mode not in modes:
        problem = f"PROMPT_OBJECTS_EDITING_MODE is {shown(mode)}; it must be emacs or vi."
        raise UsageError(problem, hint=did_you_mean(mode, modes))
    return cast("EditingMode", mode)


def _data_dir(document: YamlDocument, form: _Form, folder: Path) -> Path:
    """Resolve `data_dir`: an absolute path as it is, a relative one inside the environment's folder."""
    given = Path(form.data_dir or DATA_DIR)
    if not given.is_absolute() and (".." in given.parts or not given.parts):
        source = shown(document.source_of("data_dir"))
        problem = f"`data_dir` is {source}, which is not below the environment's folder."
        hint = "Give a path below it, or an absolute one."
        raise document.fault(problem, document.position_of("data_dir"), hint=hint)
    return folder / given


def _expand(
    document: YamlDocument, data: Any, path: tuple[str | int, ...], environ: Mapping[str, str], done: set[int]
) -> None:
    """Put the variables' values in place, once in each list and mapping however often an alias repeats it."""
    if not isinstance(data, (dict, list)) or id(data) in done:
        return
    done.add(id(data))
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
        if isinstance(value, str):
            data[key] = _expanded(document, value, (*path, key), environ)
        else:
            _expand(document, value, (*path, key), environ, done)


def _expanded(document: YamlDocument, text: str, path: tuple[str | int, ...], environ: Mapping[str, str]) -> str:
    for name in _VARIABLE.findall(text):
        if name not in environ:
            hint = f"Set it before starting, as in: export {name}=…"
            problem = f"The environment variable {name} is not set."
            raise document.fault(problem, document.position_of(*path), hint=hint)
    return _VARIABLE.sub(lambda found: environ[found[1]], text)
