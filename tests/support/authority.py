"""A certificate authority for tests."""

import shutil
import subprocess
from pathlib import Path

OPENSSL = shutil.which("openssl") or ""


class Authority:
    """A certificate authority in a folder, and certificates that it signs; by openssl, as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca = folder, folder / "ca.pem"
        self._openssl("req", "-x509", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")

    def sign(self, names: str) -> tuple[Path, Path]:
        """Write (or replace) a certificate with its chain, and its key."""
        self._openssl("req", "-subj", "/CN=hearth", "-keyout", "new.key", "-out", "request.pem")
        (self.folder / "names").write_text(f"subjectAltName={names}\n", "utf-8")
        signed = ("-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "names", "-out", "leaf.pem", "-days", "2")
        self._run("x509", *signed)
        certificate, key = self.folder / "server.pem", self.folder / "server.key"
        (self.folder / "new.key").replace(key)
        certificate.write_bytes((self.folder / "leaf.pem").read_bytes() + self.ca.read_bytes())
        return certificate, key

    def _openssl(self, *arguments: str) -> None:
        self._run(*arguments, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def _run(self, *arguments: str) -> None:
        subprocess.run([OPENSSL, *arguments], cwd=self.folder, check=True, capture_output=True)
