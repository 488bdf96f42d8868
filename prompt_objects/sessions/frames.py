"""Which request frames the answers of sessions refer to: they travel together, and the others can be removed."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from prompt_objects.errors import Damaged, NotFound, StoreError, UsageError
from prompt_objects.message import Message, role_of
from prompt_objects.sessions.info import SessionInfo, StoreIssue
from prompt_objects.sessions.stores.base import Checking, Store
from prompt_objects.sessions.stores.frames import UNUSED, Frames, digest_of, is_digest
from prompt_objects.sessions.stores.json_lines import decode, encode
from prompt_objects.utils.text import pluralize, quoted


def frame_of(message: Message) -> str | None:
    """Return the digest of the frame that an answer refers to; None if it refers to none."""
    record = message.get("request") if role_of(message) == "assistant" else None
    digest = record.get("frame") if isinstance(record, dict) else None
    return digest if isinstance(digest, str) and is_digest(digest) else None


def frames_of(messages: Iterable[Message]) -> set[str]:
    """Return the digests of the frames that messages refer to."""
    return {digest for message in messages if (digest := frame_of(message))}


def readable_frames(frames: Frames, digests: Iterable[str]) -> dict[str, bytes]:
    """Return those of the frames that can be read, by digest."""
    found: dict[str, bytes] = {}
    for digest in sorted(digests):
        with suppress(NotFound, Damaged, ValueError):  # the last for a file that is not a JSON object
            decode(content := frames.get(digest))
            found[digest] = content
    return found


def keep_documents(frames: Frames, documents: Mapping[str, object], messages: Iterable[Message]) -> None:
    """Keep the frames that came in another file with messages, unless they have changed since then."""
    for digest in frames_of(messages):
        document = documents.get(digest)
        with suppress(UsageError):  # a file edited by hand may have values that JSON does not
            if isinstance(document, dict) and digest_of(content := encode(document)) == digest:
                frames.keep(content)


class FrameUse:
    """The frames that the sessions of a store refer to, also those in the trash.

    `is_known` is False if a session could not be read, so that it may refer to any frame.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_known = True
        self.sessions: dict[str, tuple[SessionInfo, set[str]]] = {}
        while new := [info for info in self._infos() if info.id not in self.sessions]:  # until none was moved
            for info in new:
                self.sessions[info.id] = info, self._frames_of(info)

    def _infos(self) -> list[SessionInfo]:
        return [*self._store.list(), *(entry.info for entry in self._store.trash())]

    def _frames_of(self, info: SessionInfo) -> set[str]:
        try:
            return frames_of(self._messages(info.id))
        except NotFound:  # purged just now
            return set()
        except (Damaged, StoreError):
            self.is_known = False
            return set()

    def _messages(self, session_id: str) -> list[Message]:
        for _ in range(2):  # it may be moved to the trash, or back
            with suppress(NotFound):
                count = self._store.load(session_id).info.message_count
                return self._store.read(session_id, 0, count)
            with suppress(NotFound):
                return self._store.read_trashed(session_id)[1]
        raise NotFound(f"There is no session {session_id}.")

    def unused(self, frames: Iterable[str]) -> list[str]:
        """Return those of the frames that no session refers to; none if that is not known."""
        used = {digest for _, digests in self.sessions.values() for digest in digests}
        return sorted({*frames} - used) if self.is_known else []


def prune_frames(store: Store, *, dry_run: bool) -> list[str]:
    """Remove the frames that no session refers to and that are unused for an hour; return their digests.

    With `dry_run`, only return them, and none if a session is damaged: reading would repair it. Raises `StoreError`.
    """
    if dry_run and isinstance(store, Checking) and store.check():
        return []
    old = [digest for digest, unused_for in store.frames.list().items() if unused_for > UNUSED]
    unused = FrameUse(store).unused(old) if old else []
    return [digest for digest in unused if dry_run or store.frames.remove(digest, unused_for=UNUSED)]


def check_frames(store: Store) -> tuple[list[StoreIssue], list[str]]:
    """Return an issue for each session with missing or damaged frames, and the frames that no session refers to."""
    use = FrameUse(store)
    kept = store.frames.list()
    readable = readable_frames(store.frames, kept)
    lost = [(info, len(digests - readable.keys())) for info, digests in use.sessions.values()]
    issues = [
        StoreIssue(
            place=f"session {quoted(info.name)}",
            problem=f"{pluralize(count, 'request frame')} of its answers cannot be read.",
            remedy="Its messages are complete, but these requests cannot be shown. A backup may have the frames.",
            session_id=info.id,
        )
        for info, count in lost
        if count
    ]
    return issues, use.unused(kept)
