"""What storage and inputs hold is data: nothing read from there is executed."""

from __future__ import annotations

import ast

from services import ROOT

FORBIDDEN = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}


def test_no_module_imports_a_format_that_executes_what_it_reads():
    files = sorted((ROOT / "platform").rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not FORBIDDEN & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle", path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
