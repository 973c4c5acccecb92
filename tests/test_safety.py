"""What storage and inputs hold is data: nothing read from there is executed."""

from __future__ import annotations

import ast

from services import ROOT

FORBIDDEN = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
#: The doctor tells Ray to send its probe to nodes that lack this package; it reads nothing so.
SENDS = {"cluster/doctor/facts.py": {"cloudpickle"}}


def test_no_module_imports_a_format_that_executes_what_it_reads():
    files = sorted((ROOT / "platform").rglob("*.py"))
    assert files
    for path in files:
        forbidden = FORBIDDEN - SENDS.get(path.relative_to(ROOT / "platform/pairmill").as_posix(), set())
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not forbidden & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle", path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
