"""The deployment material, as far as it can be tried without a container engine or a cluster.

The files are read by the programs that will read them where those are installed (nginx, systemd, helm); what they say
of Tidegate (options, variables, paths, ports) is held against the program; the image's build step is done here with
exactly the files that the image copies.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tidegate import __version__

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed, so its file is not read by it")
    return found


def run(*words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_every_variable_is_one_that_the_program_reads() -> None:
    known = set(re.findall(r"TIDEGATE_[A-Z_]+", "".join(p.read_text() for p in (ROOT / "src").rglob("*.py"))))
    for path in FILES:
        for name in re.findall(r"TIDEGATE_[A-Z_]+", path.read_text()):
            assert name in known, f"{path.name} sets {name}, which nothing reads"


def test_every_option_of_serve_exists() -> None:
    options = set(re.findall(r"--[a-z-]+", run(sys.executable, "-m", "tidegate", "serve", "--help")))
    unit = (DEPLOY / "tidegate.service").read_text()
    chart = (DEPLOY / "helm/tidegate/templates/node.yaml").read_text()
    started = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE) + re.findall(r"args: \[serve, (.*)\]", chart)
    assert len(started) == 2
    for line in started:
        assert set(re.findall(r"--[a-z-]+", line)) <= options


def test_the_version_is_the_one_that_the_chart_installs_and_the_changelog_describes() -> None:
    chart = yaml.safe_load((DEPLOY / "helm/tidegate/Chart.yaml").read_text())
    newest = re.findall(r"^## (\S+)", (DEPLOY.parent / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert chart["version"] == chart["appVersion"] == __version__
    assert __version__.startswith(f"{newest}.")


def test_the_configuration_of_the_compose_file_is_one_that_starts() -> None:
    run(sys.executable, "-m", "tidegate", "check", str(DEPLOY / "tidegate.toml"))


def test_the_compose_file_names_files_that_exist_and_grants_little() -> None:
    made = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    nodes = [one for name, one in made["services"].items() if name.startswith("node")]
    assert len(nodes) == 2
    for node in nodes:
        assert node["read_only"]
        assert node["cap_drop"] == ["ALL"]
    for service in made["services"].values():
        for volume in service.get("volumes", ()):
            place = volume.split(":")[0]
            if place.startswith("."):
                assert (DEPLOY / place).is_file(), place
    upstreams = re.findall(r"server (\w+):8420", (DEPLOY / "nginx.conf").read_text())
    assert sorted(upstreams) == sorted(name for name in made["services"] if name.startswith("node"))


def images() -> list[str]:
    """Every image that the deployment material pulls."""
    found = re.findall(r"^FROM (\S+)|^ARG BASE=(\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    return [
        *(one for pair in found for one in pair if one and one != "${BASE}"),
        *(service["image"] for service in compose if "build" not in service),
    ]


def test_no_image_has_a_floating_tag() -> None:
    assert len(images()) >= 3
    for image in images():
        _, _, tag = image.rpartition(":")
        assert "@sha256:" in image or re.fullmatch(r"\d+\.\d+(\.\d+)?(-[a-z]+)*", tag), image
        assert image.count("/") >= 2, f"{image}: which registry it comes from is left to the machine"
    chart = yaml.safe_load((DEPLOY / "helm/tidegate/Chart.yaml").read_text())
    values = yaml.safe_load((DEPLOY / "helm/tidegate/values.yaml").read_text())
    assert values["image"]["tag"] == "" and re.fullmatch(r"\d+\.\d+\.\d+\S*", chart["appVersion"])


def test_the_image_builds_from_what_it_copies(tmp_path: Path) -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    for line in lines:
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    made = tmp_path / "made"
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "--no-index", "--target", str(made), ".", cwd=tmp_path,
    )  # fmt: skip
    assert (made / "tidegate" / "store" / "sql" / "sqlite" / "log.sql").is_file(), "data files belong to it"
    assert "stripe.toml" in {path.name for path in (made / "tidegate" / "providers").iterdir()}


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    nginx = need("nginx")
    text = (DEPLOY / "nginx.conf").read_text().replace("node1", "127.0.0.1").replace("node2", "127.0.0.2")
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\n{text}")
    run(nginx, "-t", "-q", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path))


def test_systemd_takes_the_unit_and_finds_it_shut_in(tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    unit = tmp_path / "tidegate.service"
    unit.write_text((DEPLOY / "tidegate.service").read_text().replace("/opt/tidegate/bin/tidegate", "/bin/true"))
    run(analyze, "verify", str(unit))
    report = run(analyze, "security", "--offline=yes", "--no-pager", str(unit))
    level = re.search(r"Overall exposure level[^:]*: ([\d.]+)", report)
    assert level is not None
    assert float(level[1]) < 2.0, report


def test_helm_renders_the_chart() -> None:
    helm = need("helm")
    more = ("--set", "ingress.enabled=true", "--set", "ingress.tlsSecret=tls")
    made = list(yaml.safe_load_all(run(helm, "template", "gate", str(DEPLOY / "helm/tidegate"), *more)))
    assert {one["kind"] for one in made} == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "Ingress"}
