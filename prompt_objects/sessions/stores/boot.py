"""Which start of the machine this is: what was written, and not synced, is all there until the next one."""

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["boot_id"]

if sys.platform == "darwin":

    @cache
    def boot_id() -> str:
        """Return an id that is another after each start of the machine; "" where there is none."""
        import ctypes

        text = ctypes.create_string_buffer(64)
        length = ctypes.c_size_t(len(text))
        with suppress(OSError, AttributeError):
            ask = ctypes.CDLL(None).sysctlbyname
            if ask(b"kern.bootsessionuuid", text, ctypes.byref(length), None, ctypes.c_size_t(0)) == 0:
                return text.value.decode(errors="replace")
        return ""
else:

    @cache
    def boot_id() -> str:
        """Return an id that is another after each start of the machine; "" where there is none."""
        with suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode(errors="replace").strip()
        return ""
