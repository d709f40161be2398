"""Start SeaweedFS, the S3 store, in the foreground and have it create the buckets: `python -m deploy.embedded.objectstore`.

S3 is its only door. Its own pages and APIs over HTTP have no login and answer every web page that the user visits, so they are off.
What has to stay, because its components call each other, takes tokens that are signed with a key of this start.
Each S3 key opens its own buckets.
"""

import json
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy.embedded.launcher import (
    GRPC_OFFSET,
    HIGHEST_PORT,
    SettingError,
    become,
    make_socket_dir,
    port_setting,
    refuse,
    setting,
    state_dir,
)

# SeaweedFS's name of each component that listens, and the setting of its port.
COMPONENTS = {
    "s3": "HEARTH_S3_PORT",
    "filer": "HEARTH_S3_FILER_PORT",
    "master": "HEARTH_S3_MASTER_PORT",
    "volume": "HEARTH_S3_VOLUME_PORT",
    "admin": "HEARTH_S3_ADMIN_PORT",
}
_BUCKETS = ("HEARTH_DATA_BUCKET", "HEARTH_PROCESSED_BUCKET", "HEARTH_MLFLOW_BUCKET")
# Whose key it is, the prefix of its two settings, what it may do, and with which buckets
_IDENTITIES = (
    ("hearth", "HEARTH_S3", ("Read", "Write", "List", "Tagging"), ("HEARTH_DATA_BUCKET", "HEARTH_PROCESSED_BUCKET")),
    ("mlflow", "HEARTH_MLFLOW_S3", ("Read", "Write", "List", "Tagging"), ("HEARTH_MLFLOW_BUCKET",)),
    ("reader", "HEARTH_S3_READER", ("Read", "List"), ("HEARTH_DATA_BUCKET", "HEARTH_PROCESSED_BUCKET")),
    ("backup", "HEARTH_S3_BACKUP", ("Read", "List"), _BUCKETS),
)
_ADMIN = "HEARTH_S3_ADMIN"
# A bucket takes seven volumes of this size, as far as the free disk would hold them all full: with SeaweedFS's own 128, a disk with 60 GB
# left takes nothing into the seventieth bucket.
_VOLUME_MEGABYTES = 16
_SIGNING_KEYS = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")


def stale_sockets(ports: Iterable[int]) -> list[Path]:
    """Return the sockets of components on these ports, in a folder that cannot be changed; a killed SeaweedFS leaves them."""
    return [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port + GRPC_OFFSET}.sock")]  # noqa: S108 - not our choice


def refuse_foreign_sockets() -> None:
    """Check that SeaweedFS can replace the sockets that another one has left; if not, it would wait forever.

    Raises:
        SettingError: a socket belongs to another user.
    """
    for path in stale_sockets(port_setting(name) for name in COMPONENTS.values()):
        if os.geteuid() not in {0, path.stat().st_uid}:
            raise SettingError(f"{path} was left by a SeaweedFS of another user: have it removed, or choose other HEARTH_S3_*_PORT.")


def component_ports(component: str, name: str) -> list[str]:
    """Return the options for the port of a component and for the gRPC port above it."""
    port = port_setting(name)
    highest = HIGHEST_PORT - GRPC_OFFSET
    if port > highest:
        raise SettingError(f"{name}={port} is too high: SeaweedFS listens on {GRPC_OFFSET} above it too; give at most {highest}.")
    return [f"-{component}.port={port}", f"-{component}.port.grpc={port + GRPC_OFFSET}"]


def identities() -> list[dict[str, object]]:
    """Return SeaweedFS's description of each key and its rights; an administrator is there only if its settings are.

    Raises:
        SettingError: a key has no value, or two keys have the same id.
    """
    described = [
        _identity(name, prefix, [f"{action}:{setting(bucket)}" for bucket in buckets for action in actions])
        for name, prefix, actions, buckets in _IDENTITIES
    ]
    prefixes = [prefix for _, prefix, _, _ in _IDENTITIES]
    if os.environ.get(f"{_ADMIN}_ACCESS_KEY"):
        described.append(_identity("admin", _ADMIN, ["Admin"]))
        prefixes.append(_ADMIN)
    owners: dict[str, str] = {}
    for prefix in prefixes:
        name = f"{prefix}_ACCESS_KEY"
        other = owners.setdefault(setting(name), name)
        if other != name:
            raise SettingError(f"{name} and {other} have the same value: each key needs an id of its own.")
    return described


def _identity(name: str, prefix: str, actions: list[str]) -> dict[str, object]:
    credentials = {"accessKey": setting(f"{prefix}_ACCESS_KEY"), "secretKey": setting(f"{prefix}_SECRET_KEY")}
    return {"name": name, "credentials": [credentials], "actions": actions}


def write_identities(folder: Path) -> Path:
    """Write the keys to a file that only this user can read."""
    path = folder / "identities.json"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({"identities": identities()}), encoding="utf-8")
    return path


def main() -> None:
    refuse_foreign_sockets()
    data = state_dir() / "objectstore"
    (data / "tmp").mkdir(parents=True, exist_ok=True)
    keys = write_identities(data)
    ports = [option for component, name in COMPONENTS.items() for option in component_ports(component, name)]
    # Components that would listen on other ports or addresses are off, and so is what the others serve over HTTP.
    extras = [
        f"-master.volumeSizeLimitMB={_VOLUME_MEGABYTES}",
        "-disableHttp",
        "-s3.iam=false",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    buckets = f"-bucket={','.join(setting(name) for name in _BUCKETS)}"
    folder = make_socket_dir(state_dir())
    sockets = [f"-{component}.localSocket={folder / f'{component}.sock'}" for component in ("s3", "filer")]
    temporary = {"TMPDIR": str(data / "tmp")}  # its own log files go there
    # All components are this process, so a key that nobody else has is enough. In the environment, AWS's keys would make an administrator.
    signing = {f"WEED_JWT_{name}_KEY": secrets.token_urlsafe(48) for name in _SIGNING_KEYS}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.pop(name, None)
    weed = Path(sys.executable).with_name("weed")
    address = [f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={keys}"]
    become([weed, "mini", *address, *ports, *sockets, *extras, buckets], {**signing, **temporary})


if __name__ == "__main__":
    try:
        main()
    except SettingError as error:
        refuse("minio", error)
