"""`prompt-objects completion`: print the completion script of a shell, made from the declared commands."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prompt_objects.cli.command import DEBUG, Argument, ShellCommand, argument, shell_command
from prompt_objects.cli.streams import print_out

PROGRAMS = ("prompt-objects", "po")


class Word(NamedTuple):
    """A word that may follow: a command, an option or a value."""

    text: str
    summary: str
    is_option: bool = False


class Node(NamedTuple):
    """The words that may follow one command or group; `values` are the possible values of options, by option.

    A value is a list of words, or "files" or "folders".
    """

    words: tuple[Word, ...]
    values: Mapping[str, tuple[str, ...] | str]
    positional: str


@shell_command(
    "completion",
    argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish"),
    common=(DEBUG,),
    examples=(
        "completion bash > ~/.local/share/bash-completion/completions/prompt-objects",
        "completion zsh > ~/.prompt-objects.zsh",
        "completion fish > ~/.config/fish/completions/prompt-objects.fish",
    ),
)
def completion(options: Namespace) -> None:
    """Print the completion script of a shell.

    bash and fish load a script from their folders, as in the examples. For zsh, add `source ~/.prompt-objects.zsh` to
    ~/.zshrc.
    """
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell]
    print_out("\n".join(script(_nodes())))


def _nodes() -> dict[str, Node]:
    """Return what may follow each command and each group, by name."""
    from prompt_objects.cli.commands import all_commands

    commands = all_commands()
    names = dict.fromkeys(prefix for name in commands for prefix in ("", name.partition(" ")[0], name))
    return {name: _node(name, commands) for name in names}


def _node(name: str, commands: Mapping[str, ShellCommand]) -> Node:
    following: dict[str, list[str]] = {}
    for known in commands:
        if known != name and known.startswith(f"{name} ".lstrip()):
            first, *others = known.removeprefix(name).split()
            following.setdefault(first, []).extend(others)
    words = [
        Word(text, command.summary if (command := commands.get(f"{name} {text}".strip())) else ", ".join(others))
        for text, others in following.items()
    ]
    command = commands.get(name)
    arguments = (*command.arguments, *command.common) if command else ()
    options = [each for each in arguments if each.names[0].startswith("-")]
    words += [Word(each.names[-1], str(each.settings["help"]), is_option=True) for each in options]
    words += [Word("--help", "show the help", is_option=True)]
    values = {text: value for each in options for text in each.names if (value := _value(each)) is not None}
    positional = next((each for each in arguments if each not in options), None)
    given = _value(positional) if positional else None
    if isinstance(given, tuple):
        words = [*(Word(text, "") for text in given), *words]
    return Node(tuple(words), values, given if isinstance(given, str) else "")


def _value(declared: Argument) -> tuple[str, ...] | str | None:
    """Return the possible values of an argument: words, "files" or "folders"; none for any text, None for a flag."""
    settings = declared.settings
    if settings.get("action") not in {None, "append"}:
        return None
    if choices := settings.get("choices"):
        return tuple(map(str, choices))
    return {"DIR": "folders", "FILE": "files"}.get(str(settings.get("metavar")), ())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _walk(nodes: Mapping[str, Node]) -> Iterator[str]:
    """Yield the loop of bash and zsh that finds the name of the command among the words before the cursor."""
    names = "|".join(_quoted(name if " " in name else f" {name}") for name in nodes if name)
    yield '        case "$name $word" in'
    yield f'            {names}) name="${{name:+$name }}$word" ;;'
    yield "        esac"
    yield "    done"


def _cases(subject: str, answers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a `case` statement of bash and zsh from patterns with their answers; equal answers share a line."""
    patterns: dict[str, list[str]] = {}
    for pattern, answer in answers:
        patterns.setdefault(answer, []).append(_quoted(pattern))
    yield f'    case "{subject}" in'
    yield from (f"        {'|'.join(found)}) {answer} ;;" for answer, found in patterns.items())
    yield "    esac"


def _of_options(
    nodes: Mapping[str, Node], answer: Callable[[tuple[str, ...] | str], str]
) -> Iterator[tuple[str, str]]:
    """Yield the answer for the value of each option; an option has the same values in all commands."""
    values = {option: value for node in nodes.values() for option, value in node.values.items()}
    yield from ((option, f"{answer(value)}; return") for option, value in values.items())


def _bash(nodes: Mapping[str, Node]) -> Iterator[str]:
    def values(value: tuple[str, ...] | str) -> str:
        flag = {"files": "-f", "folders": "-d"}.get(value, "") if isinstance(value, str) else ""
        return f"_prompt_objects_paths {flag}" if flag else f"_prompt_objects_words {_quoted(' '.join(value))}"

    def words(node: Node) -> str:
        listed = values(tuple(word.text for word in node.words))
        return f"{values(node.positional)}; {listed}" if node.positional else listed

    yield '_prompt_objects_words() { COMPREPLY+=($(compgen -W "$1" -- "$current")); }'
    yield "_prompt_objects_paths() {"
    yield "    local IFS=$'\\n'"
    yield "    compopt -o filenames 2>/dev/null"
    yield '    COMPREPLY+=($(compgen "$1" -- "$current"))'
    yield "}"
    yield "_prompt_objects() {"
    yield "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} name= word"
    yield "    COMPREPLY=()"
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield from _walk(nodes)
    yield from _cases("$previous", _of_options(nodes, values))
    yield from _cases("$name", ((name, words(node)) for name, node in nodes.items()))
    yield "}"
    yield f"complete -F _prompt_objects {' '.join(PROGRAMS)}"


def _zsh(nodes: Mapping[str, Node]) -> Iterator[str]:
    def values(value: tuple[str, ...] | str) -> str:
        if isinstance(value, str):
            return {"files": "_files", "folders": "_files -/"}[value]
        return " ".join(["compadd --", *map(_quoted, value)])

    def array(name: str, words: Iterable[Word]) -> str:
        return f"{name}=({' '.join(_quoted(f'{word.text}:{word.summary}') for word in words)})"

    def words(node: Node) -> str:
        commands = array("commands", (word for word in node.words if not word.is_option))
        options = array("options", (word for word in node.words if word.is_option))
        return "; ".join([*([values(node.positional)] if node.positional else []), commands, options])

    yield f"#compdef {' '.join(PROGRAMS)}"
    yield "_prompt_objects() {"
    yield "    local name= word"
    yield "    local -a commands options"
    yield '    for word in "${(@)words[2,CURRENT-1]}"; do'
    yield from _walk(nodes)
    yield from _cases("${words[CURRENT-1]}", _of_options(nodes, values))
    yield from _cases("$name", ((name, words(node)) for name, node in nodes.items()))
    yield "    _describe command commands"
    yield "    _describe -o option options"
    yield "}"
    yield "whence compdef > /dev/null || { autoload -Uz compinit && compinit }"
    yield f"compdef _prompt_objects {' '.join(PROGRAMS)}"


def _fish(nodes: Mapping[str, Node]) -> Iterator[str]:
    yield "function __prompt_objects_at"
    yield "    set -l name ''"
    yield "    for word in (commandline -opc)[2..-1]"
    yield '        switch "$name $word"'
    yield f"            case {' '.join(_quoted(name if ' ' in name else f' {name}') for name in nodes if name)}"
    yield '                set name (string trim -- "$name $word")'
    yield "        end"
    yield "    end"
    yield '    test "$name" = "$argv[1]"'
    yield "end"
    main, *others = PROGRAMS
    yield from (f"complete -c {other} -w {main}" for other in others)
    yield f"complete -c {main} -f"
    for name, node in nodes.items():
        start = f"complete -c {main} -n {_quoted(f'__prompt_objects_at {_quoted(name)}')}"
        for word in node.words:
            yield f"{start} {_fish_word(word, node)} -d {_quoted(word.summary)}"
        if node.positional:
            yield f"{start} -F"


def _fish_word(word: Word, node: Node) -> str:
    if not word.is_option:
        return f"-a {_quoted(word.text)}"
    value = node.values.get(word.text)
    given = "" if value is None else " -r -F" if isinstance(value, str) else f" -x -a {_quoted(' '.join(value))}"
    return f"-l {word.text.removeprefix('--')}{given}"
