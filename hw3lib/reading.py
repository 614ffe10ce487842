"""Small text files from anyone: read only where they are regular files, short, and not too deep."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from hw3lib import UserError

LIMIT = 2**20  # bytes


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises
    ------
    OSError
        if it is missing or no regular file: a pipe never ends, nor does a device.
    ValueError
        if it is longer than LIMIT, or not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path.name} is no regular file")
    with path.open("rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise ValueError(f"{path.name} has more than {LIMIT:,} bytes")
    return data.decode("utf-8")


def parse_json(text: str) -> Any:
    """What the JSON says; ValueError too where it is nested beyond reading."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_toml(path: Path, missing: str) -> dict[str, Any]:
    """The table of a TOML file; `missing` is said of one that is not there.

    Raises
    ------
    UserError
        naming the file, and the line where TOML knows it.
    """
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; {missing}") from None
    except RecursionError:
        raise UserError(f"{path}: cannot be read as TOML: nested too deeply") from None
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as TOML: {reason}") from None
