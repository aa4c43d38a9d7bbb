"""`tidegate advise`: the table and the figures, and advice that is applied to the file and taken back.

The advice here is the one for a webhook that nothing checks, because it needs no data: `reconcile = "6h"`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli.command import Served

FILE = """# the shop
[sources.shop.webhook]
verify = "none"   # a test
[sources.shop.api]
base_url = "http://127.0.0.1:9"   # nobody listens
[sources.shop.resources.orders]   # orders
path = "/orders"
webhook = { types = ["order/*"] }   # pushed

# the next one
[sources.shop.resources.items]
path = "/items"
"""
EDITED = FILE.replace("# pushed\n", '# pushed\nreconcile = "6h"\n')


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("advise"), FILE) as gateway:
        yield gateway


def file_of(gateway: Served) -> tuple[str, ...]:
    return "--file", str(gateway.file)


def test_the_table_has_every_resource_and_one_resource_has_its_figures(gateway: Served) -> None:
    lines = gateway.run("advise").out.splitlines()
    assert lines[0].split()[:2] == ["resource", "recommendation"] and "shop/items" in lines[1]
    assert "tidegate advise --apply SOURCE/RESOURCE" in lines[-1]
    page = gateway.run("advise", "shop/orders").out
    for text in ("Not enough data yet (confidence none", '+reconcile = "6h"', "Webhooks: 0 received", "86,400"):
        assert (text in page) == (text != "86,400"), page
    (one,) = gateway.run("advise", "shop/orders", "--json").json["data"]
    assert one["recommendation"] == "not_enough_data" and one["apply"]["owner"] == "file"
    assert [point["poll_every_seconds"] for point in one["curve"]][:3] == [10.0, 30.0, 60.0]


def test_the_report_is_written_as_the_name_of_its_file_says(gateway: Served, tmp_path: Path) -> None:
    for name, start in (("advice.html", "<!doctype html>"), ("advice.md", "# API or webhook?")):
        assert gateway.run("advise", "--report", str(tmp_path / name)).code == 0
        assert (tmp_path / name).read_text().startswith(start)
    assert gateway.run("advise", "--report", str(tmp_path / "no" / "x.md")).code == 2


def test_applied_advice_keeps_the_file_and_is_taken_back_byte_by_byte(gateway: Served) -> None:
    gateway.file.chmod(0o640)
    done = gateway.run("advise", "--apply", "shop/orders", "--yes", "--json", *file_of(gateway))
    assert done.json["applied"] == [{"resource": "shop/orders", "settings": {"reconcile": "6h"}, "owner": "file"}]
    assert '+reconcile = "6h"' in done.err, "the lines were shown before"
    assert gateway.file.read_text() == EDITED and gateway.file.stat().st_mode & 0o777 == 0o640
    shown = gateway.run("config", "show", "--json").json["sources"]["shop"]["resources"]["orders"]
    assert shown["reconcile"] == "6h"
    assert gateway.run("advise", "--undo", "shop/orders", *file_of(gateway)).code == 0
    assert gateway.file.read_text() == FILE
    assert gateway.run("config", "diff", str(gateway.file)).out == "no differences\n"


def test_an_undo_after_another_edit_changes_only_its_own_keys(gateway: Served) -> None:
    gateway.run("advise", "--apply", "shop/orders", "--yes", *file_of(gateway))
    gateway.file.write_text(EDITED.replace("# the shop", "# our shop"))
    assert gateway.run("advise", "--undo", "shop/orders", *file_of(gateway)).code == 0
    assert gateway.file.read_text() == FILE.replace("# the shop", "# our shop")
    gateway.run("advise", "--apply", "shop/orders", "--yes", *file_of(gateway))
    other = gateway.file.read_text().replace('"6h"', '"5h"')
    gateway.file.write_text(other)
    refused = gateway.run("advise", "--undo", "shop/orders", *file_of(gateway))
    assert refused.code == 1 and "reconcile of shop/orders was changed since" in refused.err
    assert gateway.file.read_text() == other
    gateway.file.write_text(FILE)
    gateway.run("config", "apply")


def test_a_file_that_the_gateway_rejects_is_put_back(gateway: Served) -> None:
    broken = FILE + '[routes.x]\nfrom = "nobody"\nto = "nobody"\n'
    gateway.file.write_text(broken)
    refused = gateway.run("advise", "--apply", "shop/orders", "--yes", *file_of(gateway))
    assert refused.code == 2 and "nobody" in refused.err
    assert gateway.file.read_text() == broken
    gateway.file.write_text(FILE)


def test_another_file_than_that_of_the_gateway_is_put_back(gateway: Served, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(FILE)
    refused = gateway.run("advise", "--apply", "shop/orders", "--yes", "--file", str(other))
    assert refused.code == 1 and "is another one" in refused.err and "--file FILE" in refused.err
    assert other.read_text() == FILE and list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--apply", "shop/orders"), 2, "there is nobody to ask"),
        (("--apply", "shop/items", "--yes"), 1, "changes no setting"),
        (("--apply", "--undo", "shop/orders"), 2, "contradict each other"),
        (("--undo",), 2, "name what to undo"),
        (("--undo", "shop/items"), 1, "no advice was applied to shop/items"),
        (("shop/order",), 2, "there is no resource 'shop/order'"),
        (("--apply", "shop/orders", "--yes", "--file", "/nowhere.toml"), 1, "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_next_step(
    gateway: Served, words: tuple[str, ...], code: int, text: str
) -> None:
    refused = gateway.run("advise", *words)
    assert (refused.code, text in refused.err) == (code, True), refused.err
    assert gateway.file.read_text() == FILE


def test_what_was_applied_is_readable_by_its_owner_only(gateway: Served) -> None:
    gateway.run("advise", "--apply", "shop/orders", "--yes", *file_of(gateway))
    (kept,) = gateway.file.parent.rglob("advice.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["shop/orders"]["after"] == {"reconcile": "6h"}
    gateway.run("advise", "--undo", "shop/orders", *file_of(gateway))
