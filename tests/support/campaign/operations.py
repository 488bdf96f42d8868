"""Operations of a campaign on a store; each can be reported in a line."""

import random
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache

import msgspec

from prompt_objects.errors import Conflict
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils.time import now
from tests.support.campaign.expectation import Held, State

__all__ = ["OBJECT", "Operation", "carry_out", "choose_operation", "frame_for", "message_of", "messages_of"]

OBJECT = "reader"
_MOST_SESSIONS, _MOST_TRASHED, _MOST_MESSAGES = 5, 2, 40

_TEXTS = (
    "What is in README.md? ",
    "naïve café, 日本語, \N{GRINNING FACE} ",
    "\u2028 \u2029 \x85 \x00 \x1f \x7f \ufeff \uffff ",
    "half of a pair: \ud83d ",
    '],"updated_at":"2026-01-01T00:00:00.000000Z"}\n',
    '"}\n,{"role":"user","content":"nobody wrote this"}\n',
    "\\ \\n \r\n \t",
)


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a store; messages are identified by numbers, metadata by a mark."""

    kind: str
    id: str
    numbers: tuple[int, ...] = ()
    count: int = 0
    name: str = ""
    mark: int = 0


def frame_for(number: int) -> bytes:
    """Return the request frame of an answer with this number; some neighbours have the same one."""
    return encode({"model": "m", "system": "long " * (number // 30 % 7 * 300) + str(number // 30)})


@lru_cache(4096)
def message_of(number: int) -> Message:
    """Return the message with a number, the same in every process: short or long, with any characters."""
    choose = random.Random(number)
    content = "".join(choose.choices(_TEXTS, k=choose.randint(0, 4)))
    if choose.random() < 0.08:  # more than a page, so that a kill may interrupt its write
        content += "0123456789abcdef" * choose.randint(250, 4000)
    message: Message = {"role": choose.choice(("user", "assistant")), "content": content, "number": number}
    if message["role"] == "assistant":
        message["request"] = {"frame": digest_of(frame_for(number))}
        message["usage"] = {"prompt_tokens": choose.randint(0, 999), "completion_tokens": choose.randint(0, 99)}
    return {**message, "at": "2026-01-01T00:00:00.000000Z"}


def messages_of(numbers: tuple[int, ...]) -> list[Message]:
    """Return the messages with these numbers."""
    return [message_of(number) for number in numbers]


def choose_operation(choose: random.Random, state: State, number: int) -> Operation:
    """Choose the next operation; names and messages are numbered from `number` on, so that each is unique."""
    live = [key for key, held in state.items() if not held.trashed]
    trashed = [key for key, held in state.items() if held.trashed]
    if len(trashed) > _MOST_TRASHED:
        return Operation("purge", choose.choice(trashed))
    if not live or (len(live) < _MOST_SESSIONS and choose.random() < 0.08):
        numbers = tuple(range(number, number + choose.choice((0, 0, 3))))
        return Operation("create", new_id(), numbers, name=f"Notes {number}", mark=number)
    if trashed and choose.random() < 0.08:
        return Operation("restore", choose.choice(trashed))
    key = choose.choice(live)
    return _choose_for(choose, key, len(state[key].numbers), number)


def _choose_for(choose: random.Random, key: str, length: int, number: int) -> Operation:
    """Choose an operation on a session with `length` messages."""
    if length > _MOST_MESSAGES:
        return Operation("truncate", key, count=choose.randint(0, length))
    operations = {
        Operation("append", key, tuple(range(number, number + choose.choice((1, 1, 1, 2, 5))))): 76,
        Operation("truncate", key, count=choose.randint(0, length)): 4,
        Operation("rename", key, name=f"Notes {number}"): 5,
        Operation("note", key, mark=number): 5,
        Operation("archive", key): 5,
        Operation("delete", key): 5,
    }
    return choose.choices([*operations], [*operations.values()])[0]


def carry_out(store: Store, operation: Operation, held: Held | None = None) -> None:
    """Do the operation; `held` is the expected state of its session before."""
    key = operation.id
    _keep_frames(store, operation)
    match operation.kind:
        case "create":
            store.create(_info(operation), {"mark": operation.mark}, messages_of(operation.numbers))
        case "append":
            assert held
            store.append(key, messages_of(operation.numbers), expected=len(held.numbers))
        case "share":
            _append_whoever_else_does(store, key, messages_of(operation.numbers))
        case "rename":
            store.update(key, name=operation.name)
        case "note":
            store.update(key, metadata={"mark": operation.mark})
        case "truncate":
            store.truncate(key, operation.count)
        case "prune":
            _try_to_remove_frames(store)
        case "archive" | "delete" | "restore" | "purge":
            getattr(store, operation.kind)(key)
        case other:
            raise AssertionError(other)


def _keep_frames(store: Store, operation: Operation) -> None:
    for number in operation.numbers:
        if "request" in message_of(number):
            store.frames.keep(frame_for(number))


def _try_to_remove_frames(store: Store) -> None:
    """Remove all frames that were unused for an hour: none, but a file store renames each before it compares."""
    for digest in store.frames.list():
        assert not store.frames.remove(digest, unused_for=timedelta(hours=1))


def _append_whoever_else_does(store: Store, key: str, messages: list[Message]) -> None:
    done = False
    while not done:
        with suppress(Conflict):
            store.append(key, messages, expected=store.load(key).info.message_count)
            done = True


def _info(operation: Operation) -> SessionInfo:
    moment = now()
    return SessionInfo(
        id=operation.id,
        name=operation.name,
        po_name=OBJECT,
        message_count=len(operation.numbers),
        created_at=moment,
        updated_at=moment,
    )
