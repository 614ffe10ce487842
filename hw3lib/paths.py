"""Where the repository lies, and paths that are handed on to a process that runs elsewhere."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def absolute(place: str) -> str:
    """A path as a process with another working directory finds it; other words as they are."""
    return str(Path(place).resolve()) if place and Path(place).exists() else place
