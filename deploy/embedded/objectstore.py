"""Start SeaweedFS, the S3 store, in the foreground and have it create the buckets: `python -m deploy.embedded.objectstore`."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy.embedded.launcher import GRPC_OFFSET, HIGHEST_PORT, SettingError, become, make_socket_dir, port_setting, setting, state_dir

# SeaweedFS's name of each component that listens, and the setting of its port.
COMPONENTS = {
    "s3": "HEARTH_S3_PORT",
    "filer": "HEARTH_S3_FILER_PORT",
    "master": "HEARTH_S3_MASTER_PORT",
    "volume": "HEARTH_S3_VOLUME_PORT",
    "admin": "HEARTH_S3_ADMIN_PORT",
}
_BUCKETS = ("HEARTH_DATA_BUCKET", "HEARTH_PROCESSED_BUCKET", "HEARTH_MLFLOW_BUCKET")


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


def main() -> None:
    refuse_foreign_sockets()
    data = state_dir() / "objectstore"
    (data / "tmp").mkdir(parents=True, exist_ok=True)
    ports = [option for component, name in COMPONENTS.items() for option in component_ports(component, name)]
    # Components that would listen on other ports or addresses are off.
    extras = ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    buckets = f"-bucket={','.join(setting(name) for name in _BUCKETS)}"
    folder = make_socket_dir(state_dir())
    sockets = [f"-{component}.localSocket={folder / f'{component}.sock'}" for component in ("s3", "filer")]
    temporary = {"TMPDIR": str(data / "tmp")}  # its own log files go there
    keys = {"AWS_ACCESS_KEY_ID": setting("HEARTH_S3_ACCESS_KEY"), "AWS_SECRET_ACCESS_KEY": setting("HEARTH_S3_SECRET_KEY")}
    weed = Path(sys.executable).with_name("weed")
    become([weed, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports, *sockets, *extras, buckets], {**keys, **temporary})


if __name__ == "__main__":
    try:
        main()
    except SettingError as error:
        sys.exit(f"minio: {error}")
