"""The `[[access]]` tables of the settings: who besides the owner may read and change which keys."""

import grp
import json
import pwd
import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, model_validator

_MOST_ID = (1 << 32) - 2
"""The largest uid or gid; the one above it stands for none."""
_WHO = ("uid", "gid", "unit", "key")
_unit = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(?:service|scope)")


def _number_of(kind: str, found: Any) -> Any:
    """Return the number of a user or group that may be named."""
    if not isinstance(found, str):
        return found
    try:
        return pwd.getpwnam(found).pw_uid if kind == "user" else grp.getgrnam(found).gr_gid
    except KeyError:
        raise ValueError(f"there is no {kind} {found!r}") from None


Uid = Annotated[StrictInt, Field(ge=0, le=_MOST_ID), BeforeValidator(lambda found: _number_of("user", found))]
Gid = Annotated[StrictInt, Field(ge=0, le=_MOST_ID), BeforeValidator(lambda found: _number_of("group", found))]
Prefixes = tuple[StrictStr, ...]


class Access(BaseModel):
    """One table: exactly one of `uid`, `gid`, `unit` and `key`, and the prefixes of what they may read and write.

    `""` is the prefix of all keys. What several tables give to the same peer adds up, and nothing is ever taken away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    uid: Uid | None = None
    gid: Gid | None = None
    unit: StrictStr | None = None
    key: StrictStr | None = None
    read: Prefixes = ()
    write: Prefixes = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        named = [name for name in _WHO if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"it needs exactly one of {', '.join(_WHO)}, and has {' and '.join(named) or 'none'}")
        if self.unit is not None and not _unit.fullmatch(self.unit):
            raise ValueError(f"unit is a system unit's full name, such as backup.service, and not {self.unit!r}")
        if self.key == "":
            raise ValueError("key is the name of a CURVE key, and not empty")
        if not self.read and not self.write:
            raise ValueError('it gives no right: read and write are lists of prefixes, and [""] is everything')
        return self


def _parsed(found: Any) -> Any:
    """Return tables that an environment variable has as JSON."""
    if not isinstance(found, str):
        return found
    try:
        return json.loads(found)
    except ValueError as error:
        raise ValueError(f"in the environment it is a JSON array of objects: {error}") from None


Tables = Annotated[tuple[Access, ...], BeforeValidator(_parsed)]
"""All tables; see `Access`."""
