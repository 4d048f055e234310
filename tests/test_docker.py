"""The image sets up what the Makefile does, and `docs/docker.md` says how it is used."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs/docker.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_image_is_set_up_as_a_clone_is():
    (venv,) = re.findall(r"^VENV := (.*)", MAKEFILE, re.MULTILINE)
    assert "READY := $(VENV)/.ready" in MAKEFILE
    assert f"make {venv}/.ready\n" in FILE
    assert f"/{venv}/bin:$PATH" in FILE
    # The README's first command begins with the same step.
    assert "\ntrain: $(READY)" in MAKEFILE
    assert "    make train " in (ROOT / "README.md").read_text()


def test_the_image_has_the_python_that_the_project_needs():
    version = (ROOT / ".python-version").read_text().strip()
    assert {*re.findall(r"FROM python:([\d.]+)-", FILE)} == {version}


def test_each_device_is_a_stage_and_the_page_names_them():
    stages = re.findall(r"^FROM python:\S+ AS (\w+)$", FILE, re.MULTILINE)
    assert stages == ["cuda", "cpu"]
    assert "ARG DEVICE=cuda\n" in FILE
    assert "--build-arg DEVICE=cpu ." in PAGE


def test_what_runs_is_no_root_and_keeps_kernels_and_runs_in_volumes():
    (user,) = re.findall(r"^USER (\w+)$", FILE, re.MULTILINE)
    (volumes,) = re.findall(r"^VOLUME \[(.*)\]$", FILE, re.MULTILINE)
    (cache,) = re.findall(r"^ENV WARP_CACHE_PATH=(.*)$", FILE, re.MULTILINE)
    (work,) = re.findall(r"^WORKDIR (.*)$", FILE, re.MULTILINE)
    assert user != "root"
    assert re.findall('"(.*?)"', volumes) == [cache, f"{work}/logs"]
    assert set(re.findall(r"--volume [\w-]+:(\S+)", PAGE)) == {cache, f"{work}/logs"}


def test_what_git_ignores_stays_out_of_the_image():
    def names(file: str) -> set[str]:
        lines = (ROOT / file).read_text().splitlines()
        return {line.removeprefix("**/") for line in lines if line and not line.startswith("#")}

    assert names(".gitignore") <= names(".dockerignore")
