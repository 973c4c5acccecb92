"""The source root is called `platform`, like a module of Python's own: it must stay a plain folder to be harmless."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import services

SCRIPT = """
import json, platform, ray

def facts():
    import platform, pairmill
    return [platform.__file__, platform.system(), pairmill.__file__]

ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=80_000_000, logging_level="ERROR")
print("FOUND " + json.dumps([facts(), ray.get(ray.remote(facts).remote())]))
"""


def test_platform_is_a_plain_folder() -> None:
    assert (services.ROOT / "platform").is_dir()
    assert not (services.ROOT / "platform" / "__init__.py").exists(), (
        "platform/__init__.py hides Python's own `platform` from Ray, uuid and pytest: remove it"
    )


def test_pytest_never_imports_by_importlib_mode(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("importmode") == "prepend", "importlib mode registers platform/ as a module"


def test_import_platform_stays_pythons_own_in_the_driver_and_in_ray_workers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=services.ROOT,
        env=services.clean_environment(PYTHONPATH="platform"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))[6:])
    for where, (stdlib, system, package) in zip(("driver", "worker"), found, strict=True):
        assert Path(stdlib).name == "platform.py" and not Path(stdlib).is_relative_to(services.ROOT), where
        assert system, where
        assert Path(package) == services.ROOT / "platform" / "pairmill" / "__init__.py", where


def test_the_wheel_holds_the_package_with_its_templates_and_nothing_else(tmp_path: Path) -> None:
    builder = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling, which builds the wheel")
    wheel = Path(next(builder.WheelBuilder(str(services.ROOT)).build(directory=str(tmp_path), versions=["standard"])))
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert len(roots) == 2 and "pairmill" in roots, roots
    root = services.ROOT / "platform"
    files = (path.relative_to(root) for path in (root / "pairmill").rglob("*") if path.is_file())
    sources = {path.as_posix() for path in files if not any(p.startswith((".", "__pycache__")) for p in path.parts)}
    assert {name for name in names if name.startswith("pairmill/")} == sources
