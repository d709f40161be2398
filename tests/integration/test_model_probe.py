"""The process that loads a version first: what it costs, what it survives, and what is remembered."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hearth.errors import RefusedModel, RegistryError
from hearth.registry import ModelFiles
from hearth.serving import model_probe
from hearth.serving.model_probe import ModelProbe
from hearth.serving.probe_process import ProbeRequest, ProbeResult
from tests.support.model_files import LARGE, files_of, rewrite, saved
from tests.support.samples import EMPLOYEES

SECONDS, MEMORY = 60, 1_000_000_000


@pytest.fixture
def probe(tmp_path: Path) -> ModelProbe:
    return ModelProbe(tmp_path / "verdicts", SECONDS, MEMORY)


def runs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Count the processes that are started."""
    started: list[object] = []
    run = model_probe._run

    def counted(request: ProbeRequest) -> tuple[ProbeResult, bool]:
        started.append(request)
        return run(request)

    monkeypatch.setattr(model_probe, "_run", counted)
    return started


def test_a_sound_version_passes_once_for_all_processes_that_share_the_folder(
    tmp_path: Path, probe: ModelProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = runs(monkeypatch)
    files = files_of(saved(tmp_path / "model", "lightgbm", n_estimators=5))
    probe.require_servable(files, EMPLOYEES)
    probe.require_servable(files, EMPLOYEES)
    ModelProbe(tmp_path / "verdicts", SECONDS, MEMORY).require_servable(files, EMPLOYEES)

    assert len(started) == 1


def test_what_was_refused_is_remembered_by_its_files_and_not_loaded_again(
    tmp_path: Path, probe: ModelProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = runs(monkeypatch)
    folder = saved(tmp_path / "model", "knn")
    other = EMPLOYEES.model_copy(update={"target": EMPLOYEES.target.model_copy(update={"classes": ("Low", "High"), "cuts": (0.5,)})})
    for _ in range(3):
        with pytest.raises(RefusedModel, match="knows 3 classes, the contract of 'employees' has 2"):
            probe.require_servable(files_of(folder), other)
    assert len(started) == 1
    probe.require_servable(files_of(folder), EMPLOYEES)  # a verdict holds for one contract
    assert len(started) == 2


def test_a_zip_bomb_takes_no_more_memory_than_the_libraries_and_the_limit(tmp_path: Path) -> None:
    """Its 1.5 MB unpack to 1.2 GB; the first check is told to allow that, so that the limit of memory has to hold alone."""
    folder = saved(tmp_path / "model", "logistic_regression")
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    header += b"{'descr': '|u1', 'fortran_order': False, 'shape': (1200000000,), }".ljust(117) + b"\n"
    grow(folder, header, 1_200_000_000)
    probe = ModelProbe(tmp_path / "verdicts", SECONDS, 400_000_000)
    assert (folder / "model.skops").stat().st_size < 2_000_000
    files = files_of(folder)
    allowing = ModelFiles(files.folder, files.where, files.digests, files.signed, 10**10)
    with pytest.raises(RefusedModel, match=r"MemoryError|more than 400,000,000 bytes of memory"):
        probe.require_servable(allowing, EMPLOYEES)
    with pytest.raises(RefusedModel, match=rf"unpacks to 1,200,[\d,]+, at most {LARGE:,} are allowed"):
        probe.require_servable(files, EMPLOYEES)

    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert most < 1_000_000_000


def grow(folder: Path, header: bytes, size: int) -> None:
    """Add a member of zeros that is mentioned by the schema."""
    import zipfile  # noqa: PLC0415

    def mention(schema: dict[str, object]) -> None:
        node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "__id__": 1, "type": "numpy", "file": "999.npy"}
        schema["content"]["content"]["steps"]["more"] = node  # type: ignore[index]  # the schema of a pipeline
        schema["content"]["content"]["steps"]["content"].append(node)  # type: ignore[index]  # as above

    rewrite(folder, mention)
    with (
        zipfile.ZipFile(folder / "model.skops", "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("999.npy", "w", force_zip64=True) as member,
    ):
        member.write(header)
        zeros = bytes(10_000_000)
        for _ in range(size // len(zeros)):
            member.write(zeros)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (f"os.kill(os.getpid(), {int(signal.SIGSEGV)})", r"ended the process that loaded it by SIGSEGV"),
        (f"os.kill(os.getpid(), {int(signal.SIGFPE)})", r"ended the process that loaded it by SIGFPE"),
        ("os._exit(7)", "ended the process that loaded it with code 7"),
        ("[None for _ in iter(int, 1)]", r"took more than 1 s of processor time to load \(HEARTH_MODEL_PROBE_SECONDS\)"),
    ],
)
def test_a_version_that_ends_its_process_or_never_ends_is_refused_with_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, reason: str
) -> None:
    """A package of the same name as one that the child imports stands for a library that fails while it reads the file."""
    (tmp_path / "skops_fails").mkdir()
    (tmp_path / "skops_fails/sitecustomize.py").write_text(
        f"import os, sys\nimport skops.io\ndef loads(*_, **__):\n    {end}\nskops.io.loads = loads\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "skops_fails"))
    probe = ModelProbe(tmp_path / "verdicts", 1, MEMORY)
    files = files_of(saved(tmp_path / "model", "knn"))
    for _ in range(2):
        with pytest.raises(RefusedModel, match=reason):
            probe.require_servable(files, EMPLOYEES)
    assert len([*(tmp_path / "verdicts").glob("*.json")]) == 1


def test_a_probe_ends_with_the_process_that_started_it_and_has_none_of_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks/sitecustomize.py").write_text(f"import os\nopen({str(seen)!r}, 'w').write(repr(sorted(os.environ)))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "looks"))
    monkeypatch.setenv("HEARTH_MODEL_SIGNING_KEY", "nobody may see this key")
    ModelProbe(tmp_path / "verdicts", SECONDS, MEMORY).require_servable(files_of(saved(tmp_path / "model", "knn")), EMPLOYEES)

    assert "PATH" in seen.read_text()
    assert "HEARTH" not in seen.read_text()


def test_a_folder_of_verdicts_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "verdicts"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(RefusedModel, match="others can write to it: set HEARTH_MODEL_CACHE_DIR"):
        ModelProbe(folder, SECONDS, MEMORY).require_servable(files_of(saved(tmp_path / "model", "knn")), EMPLOYEES)


def test_the_limits_leave_room_for_a_large_array_and_no_more(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from hearth.serving.probe_process import limit\n"
        f"limit({MEMORY}, 30)\n"
        "np.ones(800_000_000, np.uint8)\n"
        "try:\n    np.ones(1_200_000_000, np.uint8)\nexcept MemoryError:\n    print('refused')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "refused\n"


def test_a_folder_that_cannot_be_made_is_no_fault_of_the_version_which_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    probe = ModelProbe(tmp_path / "file" / "verdicts", SECONDS, MEMORY)
    with pytest.raises(RegistryError, match=r"models:/employees/9 cannot be probed with .*HEARTH_MODEL_CACHE_DIR names it"):
        probe.require_servable(files_of(saved(tmp_path / "model", "knn")), EMPLOYEES)
