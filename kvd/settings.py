"""The daemon's settings: command line over environment (`KVD_…`) over settings file over default.

A store named on one of these levels sets aside the file and the endpoint of the levels below it: they are another
store's.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kvclient.contract.endpoint import (
    DEFAULT_STORE,
    check_store_name,
    default_endpoint,
    default_file,
    merged,
    read_config,
)
from kvclient.contract.errors import DataStoreError
from kvclient.contract.places import config_path
from kvd.access import Access, Tables
from kvd.limits import CompactWhen, Limits

_PREFIX = "KVD_"
_CLIENT_KEYS = {"server_key", "key"}
"""What the settings file has for clients alone."""
_CLIENT_SETTINGS = {"autostart", *_CLIENT_KEYS}

_REQUEST_FIELDS_BYTES = 4096
_MOST_ESCAPES = 3
"""As many times longer a value in any language can get where a client escapes it, as `json.dumps` does: `é`, two bytes,
becomes `\\u00e9`."""
_MOST_KEY_CHARACTER_BYTES = 12

Count = Annotated[int, Field(ge=1)]


def _full(path: Path) -> Path:
    """Return the path with a home directory for `~`."""
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError("there is no such user") from None
    if not path.is_absolute():
        raise ValueError("it must begin with / or ~/, as it stands for the same file wherever kvd is started")
    return path


class Settings(BaseSettings):
    """All settings, each with its default and what it means."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    store: str = Field(DEFAULT_STORE, description="The store's name; gives the file and the endpoint their defaults.")
    file: Annotated[Path, AfterValidator(_full)] | None = Field(None, description="The data file.")
    endpoint: str | None = Field(None, description="Where the daemon listens: a ZeroMQ endpoint.")
    sync: Literal["always", "interval", "never"] = Field(
        "always", description="When a write is forced to the disk: before its reply, once a second, or by the kernel."
    )
    max_key_length: Count = Field(256, description="Characters that a key may have.")
    max_value_bytes: Count = Field(1 << 20, description="Bytes that a value may have as compact UTF-8 JSON.")
    max_request_bytes: Count = Field(
        16 << 20, description="Bytes of one request; never less than one value of the largest size needs."
    )
    max_file_bytes: int = Field(1 << 30, ge=4096, description="Bytes that the data file never exceeds.")
    max_batch: Count = Field(10_000, description="Operations that one batch may have.")
    max_watchers: Count = Field(10_000, description="Watches that may wait at a time.")
    compact_share: float = Field(
        0.5, gt=0, le=1, description="The file is compacted when so much of it is superseded, deleted or expired …"
    )
    compact_min_bytes: Count = Field(16 << 20, description="… and that is at least so many bytes.")

    transport: Literal["native", "libzmq"] = Field(
        "native", description="What serves ipc:// endpoints: kvd's own ZMTP, or pyzmq. A tcp:// one is always pyzmq's."
    )
    network: str | None = Field(
        None, description="A tcp:// endpoint besides, for other machines, encrypted; see docs/network.md."
    )
    insecure_tcp: bool = Field(
        False, description="Whether tcp:// endpoints, on loopback addresses only, are for everybody and unencrypted."
    )
    access: Tables = Field((), description="Who besides the owner may read and write which keys; see docs/rights.md.")
    shared_socket: bool = Field(False, description="Whether other users can reach the socket. Needs `access`.")
    audit: bool = Field(False, description="Whether each change is a line of the log: who, what, which key.")

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)
    """What the command line said."""

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Return the settings, `given` ones first; None counts as not given. Raises `DataStoreError`.

        Only a `file` that is given may be a relative path.
        """
        known = {_variable(name) for name in (*cls.model_fields, *_CLIENT_SETTINGS)}
        for name in os.environ:
            if name.startswith(_PREFIX) and name not in known:
                raise DataStoreError(f"The environment variable {name} is no setting of kvd; there are: {_names()}.")
        read_config()  # for its message, if it is not TOML
        if (file := given.get("file")) is not None:
            given["file"] = str(file if str(file).startswith("~") else Path(file).absolute())
        try:
            settings = cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise DataStoreError(_explain(error)) from None
        check_store_name(settings.store)
        settings._given.update(given)
        return settings

    def check_shared_socket(self) -> None:
        """Raise `DataStoreError` where a daemon cannot have a socket that other users reach, and should."""
        if not self.shared_socket:
            return
        if self.endpoint is None:
            raise DataStoreError(
                "Setting shared_socket = true needs an endpoint of its own, such as ipc:///srv/kvd/work.sock: the "
                "default one lies in a directory that only you can enter."
            )
        if not self.endpoint.startswith("ipc://"):
            raise DataStoreError(f"Setting shared_socket = true is for ipc:// endpoints, and not for {self.endpoint}.")
        if not self.access:
            raise DataStoreError(
                "Setting shared_socket = true needs [[access]] tables: without any, the others could connect and do "
                "nothing."
            )

    def as_they_are_now(self) -> Self:
        """Return what the settings would be after a restart with the same command line. Raises as `load`."""
        return self.load(**self._given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the levels; called by pydantic-settings."""
        return (
            _Levels(
                settings_cls,
                [
                    lambda: _without_client_keys(TomlConfigSettingsSource(settings_cls, config_path())()),
                    _environment,
                    init_settings,
                ],
            ),
        )

    @property
    def data_file(self) -> Path:
        """The data file's path."""
        return self.file or default_file(self.store)

    @property
    def listen_on(self) -> str:
        """The endpoint's address."""
        return self.endpoint or default_endpoint(self.store)

    @property
    def largest_request(self) -> int:
        """The bytes of one request in force: `max_request_bytes`, or what the largest value needs, however escaped."""
        largest_value = _MOST_ESCAPES * self.max_value_bytes + _MOST_KEY_CHARACTER_BYTES * self.max_key_length
        return max(self.max_request_bytes, _REQUEST_FIELDS_BYTES + largest_value)

    def limits(self) -> Limits:
        """Return the bounds of what a store takes."""
        limits = Limits(*(getattr(self, name) for name in Limits._fields))
        return limits._replace(max_request_bytes=self.largest_request)

    def in_force(self) -> dict[str, Any]:
        """Return all settings as a daemon takes them at its start, for JSON."""
        values = self.model_dump(mode="json")
        return {
            **values,
            "file": str(self.data_file),
            "endpoint": self.endpoint,
            "max_request_bytes": self.largest_request,
        }

    def compact_when(self) -> CompactWhen:
        """Return when a compaction is worth its cost."""
        return CompactWhen(self.compact_share, self.compact_min_bytes)


class _Levels(PydanticBaseSettingsSource):
    """The sources merged, the last one first, with the rule for named stores."""

    def __init__(self, settings_cls: type[BaseSettings], levels: list[Callable[[], dict[str, Any]]]) -> None:
        super().__init__(settings_cls)
        self._levels = levels

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return merged(level() for level in self._levels)


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _without_client_keys(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _CLIENT_KEYS}


def _environment() -> dict[str, Any]:
    """Return the settings in the environment. A variable that is empty is as good as none."""
    # Not pydantic-settings': it takes kvd_store for KVD_STORE, which clients do not.
    return {name: value for name in Settings.model_fields if (value := os.environ.get(_variable(name)))}


def _names() -> str:
    return ", ".join(Settings.model_fields)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"])) or "?"
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) > 1:
            lines.append(f"{name!r} is no field of a table; there are: {', '.join(Access.model_fields)}.")
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{name!r} is no setting of kvd (in {config_path()}); there are: {_names()}.")
        else:
            lines.append(
                f"Setting {name} = {problem['input']!r} is invalid: {problem['msg'].removeprefix('Value error, ')}."
            )
    return " ".join(lines)
