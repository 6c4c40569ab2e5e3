"""What the Slack stand-in knows: people, conversations, messages and the calls it received, in one SQLite file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = normal;
create table if not exists users (id text primary key, email text unique, real_name text not null);
create table if not exists channels (id text primary key, name text unique, user_id text unique references users);
create table if not exists messages (
    channel text not null references channels, at integer not null, thread_at integer, ephemeral_to text,
    body text not null, primary key (channel, at));
create table if not exists calls (
    id integer primary key, at real not null, method text not null, arguments text not null,
    status integer not null, response text not null);
create table if not exists views (id text primary key, user_id text not null, body text not null);
create table if not exists response_urls (
    token text primary key, channel text not null, ts text not null, user_id text not null,
    expires_at real not null, uses_left integer not null);
"""


@dataclass(frozen=True)
class User:
    id: str
    email: str
    real_name: str


@dataclass(frozen=True)
class Channel:
    """A channel has a name, a direct conversation a user."""

    id: str
    name: str | None
    user_id: str | None


class Store:
    """The file; what a method returned from survives `kill -9`.

    People and channels need not be set up. An address exists if its domain is `example.com`, `example.org` or ends in
    `.example`, unless its local part starts with `noslack`; a user id exists if it looks like one, unless it
    starts with `UGONE`; a channel name exists unless it starts with `missing`.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    # People and conversations

    def user_by_email(self, email: str) -> User | None:
        """The user with that address, who joins now if the address is one of those that exist."""
        email = email.strip().lower()
        row = self._db.execute("select * from users where email = ?", [email]).fetchone()
        if row is None and _exists(email):
            return self._add_user(_id("U", email), email)
        return User(**row) if row else None

    def user(self, user_id: str) -> User | None:
        """The user with that id, who joins now if the id is one of those that exist."""
        row = self._db.execute("select * from users where id = ?", [user_id]).fetchone()
        if row is None and re.fullmatch(r"[UW][A-Z0-9]{2,}", user_id) and not user_id.startswith("UGONE"):
            return self._add_user(user_id, f"{user_id.lower()}@workspace.example")
        return User(**row) if row else None

    def users(self) -> list[User]:
        return [User(**row) for row in self._db.execute("select * from users order by real_name")]

    def direct_channel(self, user: User) -> Channel:
        """The conversation of the app with that user: always the same."""
        channel = Channel(id=_id("D", user.id), name=None, user_id=user.id)
        self._db.execute("insert or ignore into channels values (?, null, ?)", [channel.id, user.id])
        return channel

    def named_channel(self, name: str) -> Channel | None:
        """The channel of that name, with or without `#`."""
        name = name.removeprefix("#").lower()
        if name.startswith("missing") or not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
            return None
        self._db.execute("insert or ignore into channels values (?, ?, null)", [_id("C", name), name])
        return Channel(**self._db.execute("select * from channels where name = ?", [name]).fetchone())

    def channel(self, channel_id: str) -> Channel | None:
        row = self._db.execute("select * from channels where id = ?", [channel_id]).fetchone()
        return Channel(**row) if row else None

    def channels(self) -> list[Channel]:
        """Every conversation, the one with the newest message first."""
        rows = self._db.execute(
            "select c.* from channels c left join messages m on m.channel = c.id"
            " group by c.id order by max(m.at) desc nulls last, c.id"
        )
        return [Channel(**row) for row in rows]

    # Messages

    def add_message(self, channel: str, body: Json, *, ephemeral_to: str | None = None) -> Json:
        """Stores a message and returns it with its `ts`, which no other message of the conversation has."""
        newest = self._db.execute("select max(at) from messages where channel = ?", [channel]).fetchone()[0]
        at = max(time.time_ns() // 1000, (newest or 0) + 1)
        body = body | {"ts": _ts(at)}
        thread_at = micros(body["thread_ts"]) if "thread_ts" in body else None
        values = [channel, at, thread_at, ephemeral_to, json.dumps(body)]
        self._db.execute("insert into messages values (?, ?, ?, ?, ?)", values)
        return body

    def message(self, channel: str, ts: str) -> Json | None:
        row = self._db.execute(
            "select body from messages where channel = ? and at = ?", [channel, micros(ts)]
        ).fetchone()
        return json.loads(row["body"]) if row else None

    def replace_message(self, channel: str, ts: str, body: Json) -> None:
        values = [json.dumps(body), channel, micros(ts)]
        self._db.execute("update messages set body = ? where channel = ? and at = ?", values)

    def delete_message(self, channel: str, ts: str) -> None:
        self._db.execute("delete from messages where channel = ? and at = ?", [channel, micros(ts)])

    def history(self, channel: str, *, oldest: int, latest: int, limit: int) -> list[Json]:
        """The messages outside threads between two moments (exclusive, in µs), newest first, with reply counts."""
        rows = self._db.execute(
            "select body, (select count(*) from messages r where r.channel = m.channel and r.thread_at = m.at"
            "  and r.ephemeral_to is null) as replies from messages m"
            " where channel = ? and thread_at is null and ephemeral_to is null and at > ? and at < ?"
            " order by at desc limit ?",
            [channel, oldest, latest, limit],
        )
        return [_with_replies(json.loads(row["body"]), row["replies"]) for row in rows]

    def replies(self, channel: str, ts: str) -> list[Json]:
        """The answers in the thread of a message, oldest first."""
        rows = self._db.execute(
            "select body from messages where channel = ? and thread_at = ? and ephemeral_to is null order by at",
            [channel, micros(ts)],
        )
        return [json.loads(row["body"]) for row in rows]

    def ephemeral(self, channel: str, user_id: str) -> list[Json]:
        """The messages that only this person sees, oldest first."""
        rows = self._db.execute(
            "select body from messages where channel = ? and ephemeral_to = ? order by at", [channel, user_id]
        )
        return [json.loads(row["body"]) | {"ephemeral_to": user_id} for row in rows]

    # Calls, views, response URLs

    def record_call(self, method: str, arguments: Json, status: int, response: Json) -> None:
        values = [time.time(), method, json.dumps(arguments), status, json.dumps(response)]
        self._db.execute("insert into calls (at, method, arguments, status, response) values (?, ?, ?, ?, ?)", values)

    def calls(self) -> list[Json]:
        """Every call received, oldest first."""
        return [
            {**row, "arguments": json.loads(row["arguments"]), "response": json.loads(row["response"])}
            for row in self._db.execute("select * from calls order by id")
        ]

    def save_view(self, user_id: str, view: Json) -> None:
        values = [view["id"], user_id, json.dumps(view)]
        self._db.execute("insert or replace into views values (?, ?, ?)", values)

    def view(self, view_id: str) -> tuple[str, Json] | None:
        """An open view: who sees it, and what."""
        row = self._db.execute("select * from views where id = ?", [view_id]).fetchone()
        return (row["user_id"], json.loads(row["body"])) if row else None

    def newest_view(self, user_id: str) -> Json | None:
        """The view on top of this person's screen."""
        newest = "select body from views where user_id = ? order by rowid desc limit 1"
        row = self._db.execute(newest, [user_id]).fetchone()
        return json.loads(row["body"]) if row else None

    def close_view(self, view_id: str) -> None:
        self._db.execute("delete from views where id = ?", [view_id])

    def add_response_url(self, token: str, channel: str, ts: str, user_id: str) -> None:
        """As at Slack: good for 30 minutes and five uses."""
        values = [token, channel, ts, user_id, time.time() + 1800]
        self._db.execute("insert into response_urls values (?, ?, ?, ?, ?, 5)", values)

    def use_response_url(self, token: str) -> Mapping[str, str] | None:
        """Counts a use; None when the URL is unknown, expired or used up."""
        row = self._db.execute(
            "update response_urls set uses_left = uses_left - 1"
            " where token = ? and uses_left > 0 and expires_at > ? returning channel, ts, user_id",
            [token, time.time()],
        ).fetchone()
        return dict(row) if row else None

    def clear(self) -> None:
        """Forgets everything but the people and conversations."""
        for table in ("messages", "calls", "views", "response_urls"):
            self._db.execute(f"delete from {table}")  # noqa: S608 (names of our own)

    def _add_user(self, user_id: str, email: str) -> User:
        local = email.partition("@")[0]
        user = User(user_id, email, re.sub(r"[._+-]+", " ", local).title())
        self._db.execute("insert or ignore into users values (?, ?, ?)", [user.id, user.email, user.real_name])
        return user


def micros(ts: object) -> int:
    """A Slack timestamp as whole microseconds; 0 for what is none."""
    match = re.fullmatch(r"(\d+)(?:\.(\d{1,6})\d*)?", str(ts))
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0")) if match else 0


def _ts(at: int) -> str:
    return f"{at // 1_000_000}.{at % 1_000_000:06}"


def _exists(email: str) -> bool:
    local, _, domain = email.partition("@")
    known = domain in ("example.com", "example.org") or domain.endswith(".example")
    return bool(local) and known and not local.startswith("noslack")


def _id(prefix: str, seed: str) -> str:
    return prefix + base64.b32encode(hashlib.sha256(seed.encode()).digest()).decode()[:10]


def _with_replies(body: Json, replies: int) -> Json:
    return body | {"thread_ts": body["ts"], "reply_count": replies} if replies else body
