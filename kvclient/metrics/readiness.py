"""Whether a daemon would store a small value now."""

from collections.abc import Mapping
from typing import Any

from kvclient.screen.quantities import bytes_text


def unready(status: Mapping[str, Any]) -> str | None:
    """Return why it would refuse one, given its `status`; None if it would not."""
    if refusing := status.get("refusing"):
        return f"Writes are refused. {refusing}"
    if status["full"]:
        return (
            f"The data file {status['file']} is full: it has {bytes_text(status['file_bytes'])} of "
            f"{bytes_text(status['max_file_bytes'])} (setting max_file_bytes), and a compaction would free nothing. "
            "Delete keys, or raise the limit and restart the daemon."
        )
    return None
