"""The version of this program."""

from importlib import metadata


def version() -> str:
    """Return the version that is installed, ``0`` for a bare checkout."""
    try:
        return metadata.version("tradedeck")
    except metadata.PackageNotFoundError:
        return "0"
