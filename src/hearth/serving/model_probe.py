"""Load a version first in a process of its own, which may crash, hang or run out of memory; the result is remembered by the files' digests.

The allow-list and the checks of trees and sizes find what is known. The probe is for what is not: machine code of scikit-learn or LightGBM
that ends its process. It is no sandbox against code, which the allow-list keeps out.
"""

import fcntl
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import IO, Self

from hearth.contracts import Contract
from hearth.errors import RefusedModel, RegistryError
from hearth.registry import ModelFiles, ModelPolicy, RegisteredVersion, Registry, StoredModel, library_versions
from hearth.serving.probe_process import ProbeRequest, ProbeResult
from hearth.settings import ServingSettings

_LOGGER = logging.getLogger(__name__)
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR")  # no secret among them
# Threads reserve memory, which would count: a probe has one
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
_WALL_FACTOR, _IMPORT_SECONDS = 4, 60  # on a busy machine a second of processor time takes longer
_LINES_OF_STDERR, _MOST_BYTES_READ = 3, 1_000_000


class ModelProbe:
    """Probes versions in processes of their own, one at a time on a machine. Threads and processes may share a folder of verdicts.

    Args:
        folder: where verdicts are stored.
        cpu_seconds, memory_bytes: what a probe may take.
    """

    def __init__(self, folder: Path, cpu_seconds: float, memory_bytes: int) -> None:
        self._folder, self._cpu_seconds, self._memory_bytes = folder, cpu_seconds, memory_bytes

    @classmethod
    def from_settings(cls, settings: ServingSettings) -> Self:
        folder = Path(settings.model_cache_dir) if settings.model_cache_dir else Path(tempfile.gettempdir(), f"hearth-models-{os.getuid()}")
        return cls(folder, settings.model_probe_seconds, settings.model_probe_memory_bytes)

    def require_servable(self, files: ModelFiles, contract: Contract) -> None:
        """Return if a process can load these files and score what the contract allows; a verdict about the same files holds.

        Raises:
            RefusedModel: it cannot, or took too much time or memory.
            RegistryError: no process could be started, or the folder cannot be written, which may pass.
        """
        request = ProbeRequest(
            folder=files.folder,
            where=files.where,
            contract=contract,
            most_unpacked_bytes=files.most_unpacked_bytes,
            memory_bytes=self._memory_bytes,
            cpu_seconds=self._cpu_seconds,
        )
        try:
            result = self._result(request, files.digests)
        except OSError as error:
            raise RegistryError(f"{files.where} cannot be probed with {self._folder}: {error}. HEARTH_MODEL_CACHE_DIR names it.") from error
        if result.refused:
            raise RefusedModel(result.refused)

    def _result(self, request: ProbeRequest, digests: Mapping[str, str]) -> ProbeResult:
        """Return the verdict about these files, from the folder or from a new process."""
        with self._locked() as folder:
            path = folder / f"{_digest(request, digests)}.json"
            result = ProbeResult.model_validate_json(path.read_bytes()) if path.exists() else None
            if result is None:
                result, is_certain = _run(request)
                if is_certain:
                    partial = path.with_suffix(".partial")
                    partial.write_text(result.model_dump_json(), encoding="utf-8")
                    partial.replace(path)
        return result

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """Hold the folder, in which no other user can write."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self._folder.stat()
        if state.st_uid != os.getuid() or state.st_mode & 0o022:
            raise RefusedModel(f"{self._folder} belongs to another user, or others can write to it: set HEARTH_MODEL_CACHE_DIR.")
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield self._folder


class ProbedRegistry(Registry):
    """A registry whose versions are probed before this process loads them."""

    def __init__(
        self, tracking_uri: str, *, revision: str = "", policy: ModelPolicy | None = None, contracts: Mapping[str, Contract] | None = None
    ) -> None:
        super().__init__(tracking_uri, revision=revision, policy=policy)
        self._contracts = dict(contracts or {})
        self._probe: ModelProbe | None = None
        self._probes_all = False

    @classmethod
    def of(cls, settings: ServingSettings, contracts: Mapping[str, Contract]) -> Self:
        """Make the one of the environment; sends no request."""
        registry = cls(settings.mlflow_tracking_uri, revision=settings.git_revision, policy=ModelPolicy.of(settings), contracts=contracts)
        if settings.model_probe != "none":
            registry._probe, registry._probes_all = ModelProbe.from_settings(settings), settings.model_probe == "all"
        return registry

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        """Download a version, probe it unless our trainings and our gate have signed it, and read it.

        A version that our gate has judged was loaded and scored by its process.

        Raises:
            IncompatibleModel, UntrustedModel, RefusedModel: it must not be loaded here.
        """
        with self.download(version) as files:
            is_trusted = files.signed and version.gate_signed and not self._probes_all
            if self._probe is not None and not is_trusted:
                self._probe.require_servable(files, self._contracts[version.dataset])
            return files.read()


def _digest(request: ProbeRequest, digests: Mapping[str, str]) -> str:
    """Return the name of a verdict: it holds for these files, this contract, these libraries and these limits."""
    known = {
        "request": request.model_dump(mode="json", exclude={"folder", "where"}),
        "files": dict(digests),
        "libraries": library_versions(),
        "hearth": installed_version("hearth"),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _run(request: ProbeRequest) -> tuple[ProbeResult, bool]:
    """Return the result of a new process, and whether it would be the same the next time."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD
    seconds = _WALL_FACTOR * request.cpu_seconds + _IMPORT_SECONDS
    command = [sys.executable, "-P", "-m", "hearth.serving.probe_process"]
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
        asked.write(request.model_dump_json())
        asked.seek(0)
        process = subprocess.Popen(command, stdin=asked, stdout=answer, stderr=errors, env=environment)  # noqa: S603 - our own program
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return ProbeResult(refused=f"{request.where} was not loaded within {seconds:g} s by a process of its own."), False
        if code == 0:
            return ProbeResult.model_validate_json(_start(answer)), True
        return ProbeResult(refused=f"{request.where} {_end(code, _start(errors), request)}"), code != -signal.SIGKILL


def _start(file: IO[bytes]) -> str:
    """Return what was written first into a file, of which a broken process can write more than anyone wants to hold."""
    file.seek(0)
    return file.read(_MOST_BYTES_READ).decode("utf-8", "replace")


def _end(code: int, errors: str, request: ProbeRequest) -> str:
    if code == -signal.SIGXCPU:
        return f"took more than {request.cpu_seconds:g} s of processor time to load (HEARTH_MODEL_PROBE_SECONDS)."
    if code < 0:
        return f"ended the process that loaded it by {signal.Signals(-code).name}: its file would do the same to this one. Train again."
    last = " ".join(errors.strip().splitlines()[-_LINES_OF_STDERR:])
    return f"ended the process that loaded it with code {code}: {last}"
