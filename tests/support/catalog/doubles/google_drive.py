"""Google Drive: a search language in a parameter, only the fields that are named, a trash."""

from __future__ import annotations

import re
from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Listing, Write
from support.catalog.doubles.google_calendar import error
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_ms, read_iso
from support.catalog.where import Condition, conditions
from support.catalog.world import World

FOLDER = "1AbCdEfGhIjKlMnOpQrStUvWxYz012345"


def file_id(number: int) -> str:
    return f"1f{number:06d}"


def file(state: State) -> dict[str, Any]:
    return {
        "kind": "drive#file",
        "id": file_id(state.number),
        "name": state.mark,
        "mimeType": "application/pdf",
        "parents": [FOLDER],
        "trashed": state.gone,
        "version": str(state.n),
        "size": "1024",
        "md5Checksum": "d41d8cd98f00b204e9800998ecf8427e",
        "createdTime": iso_ms(state.created_us),
        "modifiedTime": iso_ms(state.at_us),
        "webViewLink": f"https://drive.google.com/file/d/{file_id(state.number)}/view",
    }


def named(fields: Any) -> list[str]:
    return [name for name in str(fields or "").split(",") if name] or ["kind", "id", "name", "mimeType"]


def cut(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    unknown = [name for name in names if name not in row]
    if unknown:
        raise Refused("bad_request", f"Invalid field selection {unknown[0]}")
    return {name: row[name] for name in names}


def search(ask: Ask) -> list[Condition]:
    text = str(ask.get("q") or "")
    inside = re.match(r"'([^']*)' in parents(?: and )?", text)
    if inside is not None:
        if inside[1] != FOLDER:
            raise Refused("not_found", f"File not found: {inside[1]}.")
        text = text[inside.end() :]
    known = {
        "modifiedTime": ("updated", read_iso),
        "createdTime": ("created", read_iso),
        "trashed": ("gone", lambda value: {"true": True, "false": False}[value]),
    }
    return conditions(text, known)


class Files(Listing, kw_only=True):
    """`fields` names what is sent: `nextPageToken,files(id,name)`."""

    def reply(self, ask: Ask, world: World, page: Any) -> Reply:
        reply = super().reply(ask, world, page)
        wanted = re.fullmatch(r"(?:(nextPageToken),)?files\(([^)]*)\)", str(ask.get("fields") or ""))
        names = named(wanted[2] if wanted is not None else "")
        reply.body["files"] = [cut(row, names) for row in reply.body["files"]]
        if wanted is not None and wanted[1] is None:
            reply.body.pop("nextPageToken", None)
        return reply


def item(ask: Ask, world: World) -> Reply:
    """A file in the trash is answered, with trashed = true."""
    state = world.rows("files").find(ask.fields["id"])
    if state is None:
        raise Refused("not_found", "File not found")
    return Reply(200, cut(file(state), named(ask.get("fields"))))


def order(ask: Ask) -> Any:
    given = str(ask.get("orderBy") or "createdTime")
    known = {"modifiedTime": "updated", "createdTime": "created", "name": "id"}
    if given not in known:
        raise Refused("bad_request", f"Invalid sort order {given}")
    return ((known[given], False),)


def refuse(left: Left) -> Reply:
    return Reply(403, error("limited", 403, "User Rate Limit Exceeded"))


DOUBLE = Double(
    name="google-drive",
    sources=(
        "https://developers.google.com/workspace/drive/api/reference/rest/v3/files/list",
        "https://developers.google.com/workspace/drive/api/guides/ref-search-terms",
        "https://developers.google.com/workspace/drive/api/guides/fields-parameter",
        "https://developers.google.com/workspace/drive/api/guides/handle-errors",
    ),
    auth=bearer(),
    base="/drive/v3",
    values={"folder": FOLDER},
    quotas=(Quota(limit=12_000, seconds=60, refuse=refuse),),
    error=error,
    tables=(
        Table(
            name="files",
            row=file,
            tombstone=file,
            ident=file_id,
            first=80,
            resolution_us=1000,
            lag_seconds=30,
            kept_seconds=30 * 86_400,
        ),
    ),
    resources={"files": "files", "folder_files": "files"},
    calls=(
        Files(
            path="/files",
            table="files",
            put="files",
            pages=Tokens(
                token="pageToken",
                out="nextPageToken",
                size="pageSize",
                default=100,
                maximum=1000,
                served=40,
                over="error",
            ),
            where=(search,),
            order=order,
            late=True,
        ),
        Custom(path="/files/{id}", run=item),
        Write(path="/files", table="files"),
        Write(path="/files/{id}", table="files", method="PATCH", does="update"),
    ),
    operations={
        "create_folder": Test(data={"name": "F {n}"}, table="files", repeat="again"),
        "rename": Test(data={"name": "F {n}"}, table="files", creates=False, after=("create_folder",)),
    },
)
