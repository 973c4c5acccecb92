import re
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from pairmill.pairs import sources
from pairmill.spec.inputs import Input

TEXT = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()


def test_every_format_is_documented_with_a_valid_example() -> None:
    examples = [item for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S) for item in yaml.safe_load(block)]
    read = [TypeAdapter(Input).validate_python(item) for item in examples]
    assert {item.format for item in read} == set(sources.FORMATS)


def test_every_error_and_reason_of_a_source_is_documented() -> None:
    folder = Path(sources.__file__).parent
    code = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    calls = "Quarantined|Broken|Damaged|Refused|Undecodable|_refuse|quarantined|no_pair"
    named = set(re.findall(rf'(?:{calls})\(\s*"([a-z0-9_]+)"', code))
    named |= set(re.findall(r'return "((?:no|not|one|several|http|empty)_[a-z]+)"', code))
    assert len(named) > 20
    assert [name for name in sorted(named) if f"`{name}`" not in TEXT] == []
