"""The current boot of this machine."""

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

if sys.platform == "darwin":

    @cache
    def boot_id() -> str:
        """Return the id of this boot of the machine; "" if there is none."""
        import ctypes

        text = ctypes.create_string_buffer(64)
        length = ctypes.c_size_t(len(text))
        with suppress(OSError, AttributeError):
            sysctl = ctypes.CDLL(None).sysctlbyname
            if sysctl(b"kern.bootsessionuuid", text, ctypes.byref(length), None, ctypes.c_size_t(0)) == 0:
                return text.value.decode(errors="replace")
        return ""
else:

    @cache
    def boot_id() -> str:
        """Return the id of this boot of the machine; "" if there is none."""
        with suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode(errors="replace").strip()
        return ""
