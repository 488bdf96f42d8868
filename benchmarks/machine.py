"""A description of the machine on which figures were measured."""

import os
import platform
import subprocess
from pathlib import Path

__all__ = ["describe"]


def describe(folder: Path) -> str:
    """Describe this machine and the file system of `folder` in a sentence, without their names."""
    count = os.cpu_count() or 1
    parts = [
        f"{_processor()}, {count} core{'s' if count > 1 else ''}",
        f"{_memory_gib():.0f} GiB",
        f"{platform.system()} {platform.release().split('-')[0]}",
        _file_system(folder),
        f"Python {platform.python_version()}",
    ]
    return f"Measured on {', '.join(parts)}."


def _processor() -> str:
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _file_system(folder: Path) -> str:
    mounts = Path("/proc/mounts")
    fields = [line.split() for line in mounts.read_text().splitlines()] if mounts.exists() else []
    above = [field for field in fields if folder.resolve().is_relative_to(field[1])]
    return max(above, key=lambda field: len(field[1]))[2] if above else "unknown file system"
