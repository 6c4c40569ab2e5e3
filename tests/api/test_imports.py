"""`relink customers import` and `relink integrations import`: the whole of a file, or nothing of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from activities.db.integrations import IntegrationStore
from starter.commands.output import CommandError
from starter.commands.records import import_customers, import_integrations
from tests.api.calling import Api

HEADER = "customer_external_id,integration_type,integration_id,display_name,monitor\n"
OAUTH = '"{""kind"": ""oauth2"", ""token_url"": ""https://93.184.216.34/token"", ""client_id"": ""relink""}"'


@pytest.fixture(autouse=True)
def settings(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # no settings of this checkout
    monkeypatch.setenv("RELINK_DATABASE_URL", database)


async def names(api: Api) -> list[str]:
    return [
        row["integration_id"]
        for row in await api.pool.fetch("select integration_id from integration_health order by 1")
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            f"techcorp,salesforce,b,,{OAUTH}",
            "line 3: monitor: ",
        ),  # a secret is missing: the database shows that none is stored
        ("nobody,slack,b,,", "line 3: customer_external_id: there is no customer 'nobody'"),
        ('techcorp,slack,b,,"{""kind"": ""oidc"", ""issuer"": ""https://127.0.0.1/""}"', "line 3: monitor.issuer: "),
    ],
)
async def test_nothing_of_a_file_with_a_mistake(api: Api, tmp_path: Path, wrong: str, said: str) -> None:
    """Also where only the database, or a name server, can tell: the line and the field are named."""
    await api.customer()
    file = tmp_path / "i.csv"
    file.write_text(f"{HEADER}techcorp,slack,a,,\n{wrong}\ntechcorp,slack,c,,\n")
    with pytest.raises(CommandError) as refused:
        await import_integrations(file)
    first, second = str(refused.value).splitlines()
    assert first == f"{file}: nothing was imported."
    assert second.startswith(said)
    assert await names(api) == []


async def test_an_import_that_is_stopped_leaves_nothing(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle, it can be started again, and then everything is there once."""
    await api.customer()
    file = tmp_path / "i.csv"
    file.write_text(HEADER + "".join(f"techcorp,slack,{name},,\n" for name in "abc"))
    replace, replaced = IntegrationStore._replace, []

    async def die_at_the_third(*arguments: Any, **options: Any) -> Any:
        replaced.append(arguments)
        if len(replaced) == 3:
            raise asyncio.CancelledError
        return await replace(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(IntegrationStore, "_replace", die_at_the_third)
        with pytest.raises(asyncio.CancelledError):
            await import_integrations(file)
    assert await names(api) == []
    for _ in range(2):
        await import_integrations(file)
    assert await names(api) == ["a", "b", "c"]


async def test_customers_are_created_or_replaced(api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever order they are in the file; the words say how many of each."""
    await api.customer()
    file = tmp_path / "c.csv"
    file.write_text("external_id,name\nzeta,Zeta\ntechcorp,TechCorp Ltd\nalpha,Alpha\n")
    await import_customers(file)
    assert "2 customers created, 1 updated." in capsys.readouterr().out
    rows = await api.pool.fetch("select name from customers order by 1")
    assert [row["name"] for row in rows] == ["Alpha", "TechCorp Ltd", "Zeta"]
