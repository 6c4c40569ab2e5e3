"""`relink customers import`, `relink integrations import`: what is wrong with a file is named by its place."""

from pathlib import Path

import pytest

from starter.importing import ImportRefusedError, read_customers, read_integrations

CSV = '''external_id;name;arr;csm.name;csm.manager.email;technical_contacts.0.email;technical_contacts.1.name
techcorp;"Tech ""Corp""";200000;Dana;max@acme.example;bob@techcorp.example;Eve

tiny;Tiny;;;;;
'''


def test_columns_become_the_body_of_a_put(tmp_path: Path) -> None:
    """Dotted columns nest, numbered ones make lists, empty cells are absent; a spreadsheet's semicolons are fine."""
    (tmp_path / "c.csv").write_text(CSV, encoding="utf-8-sig")
    techcorp, tiny = read_customers(tmp_path / "c.csv")
    assert techcorp.names == ("techcorp",)
    assert techcorp.body.model_dump(exclude_unset=True, exclude_none=True, mode="json") == {
        "name": 'Tech "Corp"',
        "arr": "200000",
        "csm": {"name": "Dana", "manager": {"email": "max@acme.example"}},
        "technical_contacts": [{"email": "bob@techcorp.example"}, {"name": "Eve"}],
    }
    assert tiny.body.csm is None


def test_json_and_json_lines_are_the_same_records(tmp_path: Path) -> None:
    """An array, or an object a line."""
    one = '{"customer_external_id": "a", "integration_type": "slack", "integration_id": "1", "is_critical": true}'
    (tmp_path / "i.json").write_text(f"[{one}]")
    (tmp_path / "i.jsonl").write_text(f"{one}\n\n")
    assert read_integrations(tmp_path / "i.json") == read_integrations(tmp_path / "i.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "external_id,name\n,A\nb,\n", ["line 2: external_id is missing", "line 3: name is missing"]),
        ("x.csv", "external_id,name,csm.email\na,A,jo@\n", ["line 2: csm.email: expected an email address such as"]),
        ("x.csv", "external_id,name,color\na,A,red\n", ["line 2: color is unknown; see `--help` for the names"]),
        ("x.csv", "external_id,name\na,A\na,B\n", ["line 3: a is there already, in line 2"]),
        ("x.csv", 'external_id,name\na,"A\n', ["line 2: a quotation mark is not closed"]),
        ("x.csv", "external_id,name\na,A,B\n", ["line 2: more cells than the 2 columns of the first line"]),
        ("x.csv", "external_id,name,csm\na,A,Jo\n", ["line 2: csm has parts: in CSV, columns such as csm.name"]),
        ("x.csv", "external_id,name,csm,csm.name\na,A,Jo,Jo\n", ["line 1: the columns csm and csm.name contradict"]),
        ("x.csv", 'external_id,name\na,"A\nB"\n', ["line 3: name: must be one line"]),
        ("x.jsonl", '{"external_id": "a", "name": "A"}\n{"external_id"\n', ["line 2, column 15: this is no JSON: "]),
        ("x.json", '[{"external_id": "a",\n "name": }]', ["line 2, column 10: this is no JSON: "]),
        ("x.json", "[1]", ["record 1: expected an object"]),
        ("x.json", "", ["there is no record in this file"]),
        ("x.csv", "external_id,name\n", ["there is no record in this file"]),
    ],
)
def test_what_is_wrong_is_named_by_its_place(tmp_path: Path, name: str, content: str, said: list[str]) -> None:
    """File, line, column, and what to do; all problems of a file at once."""
    (tmp_path / name).write_text(content)
    with pytest.raises(ImportRefusedError) as refused:
        read_customers(tmp_path / name)
    text = str(refused.value)
    assert text.startswith(str(tmp_path / name))
    assert all(words in text for words in said), text


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    """In words, not in those of the operating system."""
    (tmp_path / "x.csv").write_bytes(b"external_id,name\na,\xff\n")
    with pytest.raises(ImportRefusedError, match="byte 20 is not UTF-8: save the file as UTF-8"):
        read_customers(tmp_path / "x.csv")
    with pytest.raises(ImportRefusedError, match="there is no such file"):
        read_customers(tmp_path / "y.csv")
