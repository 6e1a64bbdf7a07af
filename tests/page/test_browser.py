"""The page in a real Chromium: what people see, by mouse, by keyboard and by a screen reader."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.bundle import Bundle
from koordnri.cli.report import part_of_pod
from koordnri.cli.report_answers import ReportFile
from koordnri.page.server import PageServer
from tests.page.served import HOSTILE, POLICY, Served, served

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import lab_browser

pytest.importorskip("playwright", reason="a venv from before Playwright was needed; `make lint` makes it again")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

pytestmark = pytest.mark.full

NAME = "<b onmouseover=alert(3)>bold"
"""Of a pod, as no API server would allow it: the page must not rely on that."""
PATIENCE_MS = 30_000
NOT_FOUND = "404 (Not Found)"
"""Chromium's own line about a pod that is not there."""
ROWS = "#containers-body tr:visible"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if (program := lab_browser.program()) is None:
        pytest.skip("no Chromium; tools/lab_browser.py installs one")
    with sync_playwright() as playwright:
        # A container's root has no sandbox of its own to give; the pages are ours.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Eight CPUs, one pod with two of them, six pods that share, and two hostile ones. Its policy was refused."""
    with served(tmp_path_factory.mktemp("node")) as it:
        it.run_pod("database-0", "LSR", cpus=2)
        for index in range(6):
            it.run_pod(f"web-{index}", ("LS", "BE")[index % 2])
        it.run_pod("hostile-0", burst=HOSTILE)
        it.run_pod(NAME)
        it.policy.write_text("resource-qos-config: {clusterStrategy: {lsClass: 3}}\n")
        yield it


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address. At the end nobody may have complained, nor any script of a tenant have run."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_it(address: str, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{message.type}: {message.text}") if NOT_FOUND not in message.text else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.goto(address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def pods(page: Page) -> list[str]:
    """The first column of what the table of containers shows."""
    return page.locator(f"{ROWS} th").all_inner_texts()


def test_the_overview(node: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(node.address)
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#title")).to_have_text("Node node-1")
    expect(page.locator("#facts")).to_contain_text("ready")
    expect(page.locator("#map-summary")).to_contain_text(
        "1 socket, 2 NUMA nodes, 2 L3 caches, 4 cores, 8 CPUs: 2 owned"
    )
    expect(page.locator("#map-picture .cpu")).to_have_count(8)
    expect(page.locator("#map-picture .owner-0")).to_have_text(["A", "A"])
    expect(page.locator("#map-owners tbody tr")).to_contain_text(["shop/database-0"])
    expect(page.locator(ROWS)).to_have_count(9)
    expect(page.locator("#policy-content")).to_contain_text("A newer policy")
    expect(page.locator("#policy-content tbody")).to_contain_text("expected a mapping, got 3")
    expect(page.locator("#decisions-content tbody tr")).to_have_count(10)


def test_cache_and_memory_are_shown_by_class(node: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(node.address)
    expect(page.locator("#shares-content")).to_contain_text("this node has no resctrl")
    rows = page.get_by_role("group", name="Memory by class, of 64 GiB").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="LSR")).to_contain_text("1 GiB (1073741824), 2 %")


def test_what_the_policy_before_had_otherwise_is_shown(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    with served(tmp_path) as node:
        page = open_page(node.address)
        expect(page.locator("#policy-content")).to_contain_text("No other policy was in force")
        node.policy.write_text(POLICY.replace("80", "70"))
        changes = page.get_by_role("group", name="Changes since revision").locator("tbody tr")
        expect(changes).to_have_count(1)
        expect(changes.locator("th")).to_have_text("resource-qos-config.lsClass.memoryQOS.throttlingPercent")
        expect(changes.locator("td")).to_have_text(["80", "70"])
        page.goto("about:blank")


def test_search(node: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(node.address)
    page.get_by_label("Search").fill("WEB be")
    expect(page.locator("#found")).to_have_text("3 of 9 containers")
    assert pods(page) == ["shop/web-1", "shop/web-3", "shop/web-5"]
    page.get_by_label("Search").fill("nothing of the kind")
    expect(page.locator("#found")).to_have_text("0 of 9 containers")
    page.get_by_label("Search").fill("")
    expect(page.locator("#found")).to_have_text("9 containers")


def test_sort(node: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(node.address)
    expect(page.locator(ROWS)).to_have_count(9)
    assert pods(page) == sorted(pods(page))
    head = page.get_by_role("columnheader", name="Limit, CPUs")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert pods(page)[0] == "shop/database-0"
    expect(page.locator("[aria-sort]")).to_have_count(1)


def test_a_pods_page_and_back_with_the_keyboard_alone(node: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(node.address)
    expect(page.locator(ROWS)).to_have_count(9)
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_label("Search").focus()
    page.keyboard.type("database")
    expect(page.locator(ROWS)).to_have_count(1)
    for _ in range(1 + 8 + 1):  # the table, the heads of its columns, the link
        page.keyboard.press("Tab")
    expect(page.locator(ROWS).get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    title = page.get_by_role("heading", name="Pod shop/database-0")
    expect(title).to_be_focused()
    expect(page).to_have_title("shop/database-0, koordnri")
    expect(page.get_by_role("group", name="Fields: ").first).to_contain_text("cpu.cpus")
    expect(page.get_by_role("group", name="Changes, the newest first")).to_contain_text("creation")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="All containers")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#containers")).to_be_focused()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.get_by_label("Search")).to_have_value("database")


def test_changes_arrive_by_themselves_and_leave_the_reader_where_he_is(
    node: Served, open_page: Callable[..., Page]
) -> None:
    page = open_page(node.address)
    expect(page.locator("#live")).to_have_text("live")
    link = page.locator(ROWS).get_by_role("link", name="shop/web-3")
    link.focus()
    node.run_pod("new-0", "BE")
    expect(page.locator(ROWS)).to_have_count(10)
    expect(page.locator("#decisions-content")).to_contain_text("shop/new-0")
    expect(link).to_be_focused()
    node.stop_pod("new-0")
    expect(page.locator(ROWS)).to_have_count(9)
    expect(link).to_be_focused()


def test_what_tenants_write_stays_text(node: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(node.address)
    page.get_by_role("link", name=f"shop/{NAME}").last.click()
    expect(page.locator("#pod-title")).to_have_text(f"Pod shop/{NAME}")
    expect(page.get_by_role("group", name="Fields: ").first).to_contain_text("cpu.cpus")
    page.goto(f"{node.address}#/pod/shop/hostile-0")
    expect(page.locator("#pod .findings .problem").first).to_contain_text(HOSTILE)
    assert page.locator("main img, main script, main b").count() == 0
    for address in ("#/pod/shop/%", "#/pod/shop/%3Cimg%20src=x%20onerror=alert(1)%3E", "#<script>"):
        page.goto(node.address + address)
    expect(page.locator(ROWS)).to_have_count(9)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["", "#/pod/shop/hostile-0"])
def test_axe_finds_nothing(node: Served, open_page: Callable[..., Page], scheme: str, part: str) -> None:
    page = open_page(node.address + part, color_scheme=scheme, bypass_csp=True)  # axe makes elements of texts
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator(".findings li" if part else ROWS).first).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_report_shows_what_it_has(node: Served, open_page: Callable[..., Page], tmp_path: Path) -> None:
    bundle = Bundle("koordnri-report-n", {"made": "20261129T114500Z"})
    for name in ("status", "containers"):
        bundle.add_json(f"v1/{name}.json", node.json(f"/v1/{name}"))
    bundle.add_json(part_of_pod("explain", "shop/web-0"), node.json("/v1/explain?pod=shop/web-0"))
    with (tmp_path / "r.tar.gz").open("wb") as file:
        bundle.write(file)
    server = PageServer("127.0.0.1", 0, ReportFile(tmp_path / "r.tar.gz").questions(), lambda: 0)
    try:
        page = open_page(f"http://127.0.0.1:{server.port}/")
        expect(page.locator("#live")).to_have_text("a report of 2026-11-29 11:45:00 UTC")
        expect(page.locator(ROWS)).to_have_count(9)
        expect(page.locator("#trouble")).to_contain_text("v1/map.json is not in this report")
        page.locator(ROWS).get_by_role("link", name="shop/web-0").click()
        expect(page.get_by_role("group", name="Fields: ").first).to_contain_text("cpu.cpus")
        expect(page.locator("#pod")).to_contain_text("v1/why/shop_web-0.json is not in this report")
        page.goto("about:blank")
    finally:
        server.close()


def test_a_daemon_that_has_gone_is_reported(tmp_path: Path, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        with served(tmp_path) as node:
            page.goto(node.address)
            expect(page.locator("#live")).to_have_text("live")
        expect(page.locator("#live")).not_to_have_text("live")
        expect(page.locator("#trouble")).to_contain_text("What is shown may be old.")


def test_a_large_node_is_drawn_whole_and_an_update_changes_little(
    tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    """Few changed elements are what keeps an update short; how long it takes depends on the machine."""
    with served(tmp_path, sockets=2, numa=4, cores=24) as node:
        for index in range(30):
            node.run_pod(f"db-{index}", "LSR", cpus=4)
        for index in range(235):
            node.run_pod(f"web-{index}", containers=2)
        page = open_page(node.address)
        expect(page.locator("#map-picture .cpu")).to_have_count(384)
        expect(page.locator(ROWS)).to_have_count(500)
        page.evaluate(
            """() => {
                window.changed = 0;
                const options = { subtree: true, childList: true, characterData: true, attributes: true };
                const observer = new MutationObserver((all) => { window.changed += all.length; });
                for (const id of ["map-picture", "containers-table"]) observer.observe(document.getElementById(id), options);
            }"""
        )
        node.run_pod("new-0", "BE")
        expect(page.locator("#found")).to_have_text("501 containers")
        assert 0 < page.evaluate("window.changed") < 20
        page.goto("about:blank")
