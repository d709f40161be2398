"""The process that loads a version for the first time: `python -P -m hearth.serving.probe_process`, started by `model_probe`.

It reads one `ProbeRequest` as JSON from its standard input, loads the version and scores examples with it as a service does, and
writes one `ProbeResult`. It limits its own memory, processor time and files, and ends when its parent does.
"""

import os
import resource
import sys
import threading
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hearth.contracts import Contract
from hearth.errors import RefusedModel
from hearth.registry import model_files
from hearth.serving.compiled.scorer import CompiledScorer

_FILE_BYTES = 64 * 2**20  # numba stores its machine code
_PARENT_SECONDS = 1.0
_NICENESS = 10  # requests come first


class ProbeRequest(BaseModel):
    """The files of a version, the contract of its records, and what loading it may cost beside the libraries."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    where: str
    contract: Contract
    most_unpacked_bytes: int
    memory_bytes: int
    cpu_seconds: float


class ProbeResult(BaseModel):
    """Why a version is refused; empty if it serves."""

    model_config = ConfigDict(frozen=True)

    refused: str = ""


def probe(request: ProbeRequest) -> ProbeResult:
    """Load a version and score examples with it; whatever it raises is the reason why it is refused."""
    where = request.where
    try:
        stored = model_files.load(request.folder, where, request.most_unpacked_bytes)
        CompiledScorer(stored.pipeline, request.contract, stored.example).require_contract(where)
    except RefusedModel as error:
        return ProbeResult(refused=str(error))
    except MemoryError:
        return ProbeResult(refused=f"{where} needs more than {request.memory_bytes:,} bytes of memory (HEARTH_MODEL_PROBE_MEMORY_BYTES).")
    except Exception as error:  # noqa: BLE001 - a model can make libraries raise anything, and the parent says it
        return ProbeResult(refused=f"{where} cannot be served ({type(error).__name__}: {error}). Train again.")
    return ProbeResult()


def limit(memory_bytes: int, cpu_seconds: float) -> None:
    """Limit this process: memory beside what it has now, processor time beside what it has used, and the size of files that it writes."""
    pages = Path("/proc/self/statm")
    if pages.exists():  # elsewhere the time alone is limited
        now = int(pages.read_text("ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory_bytes, now + memory_bytes))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + cpu_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


def main() -> int:
    """Answer one request."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    os.nice(_NICENESS)
    request = ProbeRequest.model_validate_json(sys.stdin.read())
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    limit(request.memory_bytes, request.cpu_seconds)
    with os.fdopen(answer, "w", encoding="utf-8") as file:
        file.write(probe(request).model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
