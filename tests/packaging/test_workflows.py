"""What a forge runs names only what is here, and promises only what is run."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from release.distributions import DISTRIBUTIONS, MAIN, ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in FOLDER.glob("*.yml")}
JOBS = {
    f"{workflow}/{name}": job
    for workflow, content in WORKFLOWS.items()
    for name, job in content["jobs"].items()
}
STEPS = [step for job in JOBS.values() for step in job.get("steps", ())]
COMMANDS = [step["run"] for step in STEPS if "run" in step]
TESTS = WORKFLOWS["tests"]["jobs"]["test"]

PINNED = re.compile(r"[\w-]+/[\w-]+@(v\d+|release/v\d+|[0-9a-f]{40})|\./\S+")
SYSTEMS = {
    "ubuntu-latest": "POSIX :: Linux",
    "macos-latest": "MacOS",
    "windows-latest": "Microsoft :: Windows",
}


def classified(kind: str) -> set[str]:
    """What the classifiers of one kind say."""
    classifiers: list[str] = MAIN.described["project"]["classifiers"]
    return {one.removeprefix(kind) for one in classifiers if one.startswith(kind)}


def test_there_are_tests_a_release_and_the_documentation() -> None:
    assert WORKFLOWS.keys() == {"tests", "release", "docs"}


def test_each_distribution_is_published_from_an_environment_of_its_own() -> None:
    job = JOBS["release/publish"]
    files = {one.file_name.rpartition("-")[0] for one in DISTRIBUTIONS}
    assert set(job["strategy"]["matrix"]["name"]) == files
    assert job["environment"] == "pypi-${{ matrix.name }}"


def test_every_target_of_make_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {target for command in COMMANDS for target in re.findall(r"\bmake ([\w-]+)", command)}
    assert named >= {"check", "docs", "test-lowest", "release-check"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_group_and_module_exists() -> None:
    said = "\n".join(COMMANDS)
    for path in re.findall(r"(?<=\s)tests/\S+", said):
        assert (ROOT / path).exists(), path
    for group in re.findall(r"--group (\S+)", said):
        assert group in MAIN.described["dependency-groups"], group
    for module in re.findall(r"-(?:m|p) ((?:release|tests)\.[\w.]+)", said):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    for step in STEPS:
        cached = step.get("with", {}).get("cache-dependency-path")
        assert cached is None or (ROOT / cached).exists()


def test_the_commands_are_those_of_make_test() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wanted: list[set[str]] = []
    for target in ("test-rest", "test-langchain", "test-llama-index"):
        commands = makefile.partition(f"\n{target}:")[2].partition("\n\n")[0]
        wanted.extend(
            set(re.findall(r"--\w+ \S+|-m \"[^\"]+\"| tests/\S+$", line))
            for line in re.findall(r"\$\((?:PYTEST|PARALLEL)\)(.*)", commands)
        )
    assert len(wanted) == 3
    ran = [command for command in COMMANDS if "pytest" in command]
    assert len(ran) == len(wanted)
    for arguments in wanted:
        assert any(all(one in command for one in arguments) for command in ran), arguments


def test_the_python_versions_are_those_of_the_classifiers() -> None:
    matrix = set(TESTS["strategy"]["matrix"]["python"])
    assert matrix == classified("Programming Language :: Python :: ") - {"3 :: Only"}
    lowest = min(matrix, key=lambda version: int(version.partition(".")[2]))
    assert MAIN.described["project"]["requires-python"] == f">={lowest}"


def test_the_systems_that_must_pass_are_those_of_the_classifiers() -> None:
    matrix = TESTS["strategy"]["matrix"]["os"]
    assert set(matrix) == SYSTEMS.keys()
    allowed = TESTS.get("continue-on-error", "")
    must_pass = re.findall(r"matrix\.os != '([\w-]+)'", allowed) or matrix
    assert {SYSTEMS[system] for system in must_pass} == classified("Operating System :: ")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_is_not_run_twice_at_a_time(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_and_uses_only_pinned_actions(name: str) -> None:
    job: dict[str, Any] = JOBS[name]
    assert "timeout-minutes" in job or "uses" in job
    used = [step["uses"] for step in job.get("steps", ()) if "uses" in step]
    for action in [*used, *([job["uses"]] if "uses" in job else [])]:
        assert PINNED.fullmatch(action), action
    for step in job.get("steps", ()):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_what_was_tested_is_published_and_no_token_is_stored() -> None:
    assert [name for name, job in JOBS.items() if "permissions" in job] == [
        "docs/deploy",
        "release/publish",
    ]
    publish = JOBS["release/publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert set(publish["needs"]) == {"tests", "version"}
    assert JOBS["release/tests"]["uses"] == "./.github/workflows/tests.yml"
    everything = "\n".join(path.read_text("utf-8") for path in FOLDER.glob("*.yml"))
    assert "secrets." not in everything
    stored = JOBS["tests/release-check"]["steps"][-1]["with"]
    fetched = publish["steps"][0]["with"]
    assert (stored["name"], stored["path"]) == (fetched["name"], fetched["path"])
