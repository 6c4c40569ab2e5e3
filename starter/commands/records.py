"""Commands that read and write what is stored: keys, customers, integrations, incidents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from activities.customers import IntegrationWrite
from activities.db.customers import CustomerStore, UnknownCustomerError
from activities.db.integrations import IntegrationRefusedError, IntegrationStore, Stored
from activities.db.keys import ApiKey, KeyStore
from activities.db.pool import Pool, create_pool
from activities.db.resealing import Resealing
from activities.probes.monitor import refused_urls
from activities.secrets import SecretBox
from activities.settings import Settings
from starter.api.callbacks import webhook_secret
from starter.commands.output import CommandError, console, print_json, print_rows
from starter.importing import ImportRefusedError, Record, nothing_imported, read_customers, read_integrations
from starter.ring import Ring
from starter.temporal import connect

keys = App(name="keys", help="Keys of the HTTP API.")
customers = App(name="customers", help="Customers and their people.")
integrations = App(name="integrations", help="Customers' integrations.")


def register(app: App) -> None:
    """Adds these commands."""
    for commands in (keys, customers, integrations):
        app.command(commands)


@keys.command(name="create")
async def create_key(
    name: str,
    *,
    scope: Annotated[list[str], Parameter(negative=())],
    customer: str | None = None,
    json: bool = False,
) -> None:
    """Make a key and show it, once.

    Parameters
    ----------
    name
        What it is for; shown in lists.
    scope
        events, callbacks, read, operate or admin; repeatable.
    customer
        External id of the one customer that the key may see.
    """
    settings = Settings.load("database_url")
    async with create_pool(str(settings.database_url), size=1) as pool:
        try:
            made, key = await KeyStore(pool).create(name, scope, customer)
        except UnknownCustomerError:
            raise CommandError(f"--customer: there is no customer {customer!r}; import or PUT it first") from None
        except ValueError as error:
            raise CommandError(f"--scope: {error}") from None
    if json:
        print_json({**_shown(made), "key": key})
    else:
        console.print(f"Key [bold]{made.name}[/bold] with {', '.join(sorted(made.scopes))}. It is shown only now:")
        console.print(key, markup=False, highlight=False)


@keys.command(name="list")
async def list_keys(*, json: bool = False) -> None:
    """List all keys, without the keys themselves."""
    settings = Settings.load("database_url")
    async with create_pool(str(settings.database_url), size=1) as pool:
        found = [
            {**_shown(key), "created_at": key.created_at, "revoked_at": key.revoked_at}
            for key in await KeyStore(pool).list()
        ]
    if json:
        print_json({"items": found, "next_cursor": None})
    else:
        print_rows(found, "id", "name", "scopes", "customer", "created_at", "revoked_at")


@keys.command(name="revoke")
async def revoke_key(key: UUID, *, json: bool = False) -> None:
    """Take a key back, by its id; refused everywhere within five seconds."""
    settings = Settings.load("database_url")
    async with create_pool(str(settings.database_url), size=1) as pool:
        if not await KeyStore(pool).revoke(key):
            raise CommandError(f"there is no key {key}, or not any more; `relink keys list` shows them")
    if json:
        print_json({"id": key, "revoked": True})
    else:
        console.print("Revoked.")


@keys.command(name="webhook-secret")
def show_webhook_secret(*, json: bool = False) -> None:
    """Show the secret with which callbacks may be signed instead of using a key (standardwebhooks.com)."""
    secret = webhook_secret(Settings.load("secret_key"))
    if json:
        print_json({"secret": secret})
    else:
        console.print(secret, markup=False, highlight=False)


@keys.command(name="reseal")
async def reseal_secrets(*, json: bool = False) -> None:
    """Encrypt the monitors' stored secrets with the first key of RELINK_ENCRYPTION_KEYS; part of rotating it."""
    settings = Settings.load("database_url")
    async with create_pool(str(settings.database_url), size=2) as pool:
        resealed = await Resealing(pool, SecretBox(settings.encryption_keys)).all()
    if json:
        print_json({"resealed": resealed})
    else:
        console.print(f"{resealed} monitors' secrets were encrypted again; all are under the first key now.")


@customers.command(name="import")
async def import_customers(file: Path, *, json: bool = False) -> None:
    """Store the customers of FILE, unless one of them is wrong: then none.

    CSV, with these columns (an empty cell is an absent field): external_id, name, arr, health_score, csm.name,
    csm.email, csm.slack_user_id, csm.timezone, csm.manager.name, csm.manager.email, csm.manager.slack_user_id,
    csm.manager.timezone, technical_contacts.0.name, technical_contacts.0.email, technical_contacts.0.role,
    technical_contacts.0.timezone, technical_contacts.0.locale, technical_contacts.1.name, and so on. Needed are
    external_id and name.

    JSON (an array) or JSON lines: the body of PUT /v1/customers/{external_id}, with external_id beside it.
    """
    settings = Settings.load("database_url")
    try:
        records = read_customers(file)
    except ImportRefusedError as error:
        raise CommandError(str(error)) from None
    async with create_pool(str(settings.database_url), size=1) as pool:
        created = await CustomerStore(pool).put_all({record.names[0]: record.body for record in records})
    _report(created, "customers", json=json)


@integrations.command(name="import")
async def import_integrations(file: Path, *, json: bool = False) -> None:
    """Store the integrations of FILE, unless one of them is wrong: then none.

    CSV, with these columns (an empty cell is an absent field): customer_external_id, integration_type, integration_id,
    display_name, is_critical, self_serve, reconnect_url, monitor (JSON, such as {"kind": "heartbeat", "every": "1h"}).
    Needed are the first three.

    JSON (an array) or JSON lines: the body of PUT /v1/customers/{customer_external_id}/integrations/{integration_type}/
    {integration_id}, with these three names beside it.
    """
    settings = Settings.load("database_url")
    try:
        stored = await _import_integrations(file, settings)
    except ImportRefusedError as error:
        raise CommandError(str(error)) from None
    _report([one.created for one in stored], "integrations", json=json)


async def _import_integrations(file: Path, settings: Settings) -> list[Stored]:
    records = read_integrations(file)
    async with create_pool(str(settings.database_url), size=1) as pool:
        owners = await _owners(pool, file, records)
        if not settings.probe_allow_private:
            await _refuse_private(file, records)
        store = IntegrationStore(pool, SecretBox(settings.encryption_keys))
        try:
            stored = await store.put_all([(owners[r.names[0]], r.names[1], r.names[2], r.body) for r in records])
        except IntegrationRefusedError as error:
            problem = f"{records[error.at].place}: {error.field}: {error.message}"
            raise nothing_imported(file, [problem]) from None
        if bells := {bell for one in stored for bell in one.bells}:
            await Ring(await connect(settings, lazy=True), pool).soon(bells)
    return stored


async def _owners(pool: Pool, file: Path, records: list[Record[IntegrationWrite]]) -> dict[str, UUID]:
    """The customers' ids."""
    places = {record.names[0]: record.place for record in reversed(records)}  # where each is named first
    owners, problems = {}, []
    for external_id, place in reversed(places.items()):
        try:
            owners[external_id] = await CustomerStore(pool).id_of(external_id)
        except UnknownCustomerError:
            problems.append(f"{place}: customer_external_id: there is no customer {external_id!r}")
    if problems:
        raise nothing_imported(file, problems)
    return owners


async def _refuse_private(file: Path, records: list[Record[IntegrationWrite]]) -> None:
    problems = [
        f"{record.place}: monitor.{field}: {problem}"
        for record in records
        if record.body.monitor is not None
        for field, problem in (await refused_urls(record.body.monitor)).items()
    ]
    if problems:
        raise nothing_imported(file, problems)


def _report(created: list[bool], what: str, *, json: bool) -> None:
    counts = {"created": sum(created), "updated": len(created) - sum(created)}
    if json:
        print_json(counts)
    else:
        console.print(f"{counts['created']} {what} created, {counts['updated']} updated.")


def _shown(key: ApiKey) -> dict[str, object]:
    return {"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "customer": key.customer}
