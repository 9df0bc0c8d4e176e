"""The report page in a real Chromium: what it shows are the numbers of `report --json`, and a person can use it."""

import json
import os
from pathlib import Path

import pytest
from browser_kit import chromium, complaints, open_page, requests
from report_kit import report, synthetic
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from kallmodsyms.report.page import text as page_text


@pytest.fixture(scope="module")
def builds(toy_builds):
    return toy_builds


@pytest.fixture(scope="module")
def page(builds):
    path = builds.new.parent / "report.html"
    report(builds.new, "--tree", builds.tree, "--against", builds.old, "-o", path)
    return path


@pytest.fixture(scope="module")
def window():
    with chromium() as driver:
        yield driver


@pytest.fixture
def browser(window, page):
    """The page as it is first shown; when the test is done, nothing was complained of, and nothing asked for."""
    open_page(window, page)
    yield window
    assert complaints(window) == [] and requests(window) == []


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def rows(browser, place="#grid"):
    """The texts of a table's cells, without bars, all its rows."""
    return browser.execute_script(
        "const grid = document.querySelector(arguments[0]);"
        "while (grid.querySelector('.more')) grid.querySelector('.more').click();"
        "return [...grid.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.innerText.trim()))",
        place,
    )


def numbers(text):
    return int(text.replace(",", "").replace("+", ""))


def state(browser):
    return browser.execute_script("return page.state")


def tile(browser, label):
    """Where, from the middle of the treemap, the middle of a tile is."""
    return browser.execute_script(
        "const {tiles, canvas} = page.treemap;"
        "const tile = tiles.find((one) => one.node && one.node.label === arguments[0]);"
        "return [Math.round(tile.x + tile.width / 2 - canvas.clientWidth / 2),"
        " Math.round(tile.y + tile.height / 2 - canvas.clientHeight / 2)]",
        label,
    )


@pytest.mark.parametrize(
    ("table", "key"),
    [("module", "modules"), ("object", "objects"), ("directory", "directories"), ("option", "options"),
     ("maintainer", "maintainers"), ("shared", "shared")],
)  # fmt: skip
def test_a_table_has_the_numbers_of_json(browser, page, builds, table, key):
    open_page(browser, page, f"#view=tables&table={table}")
    titles = [cell.text.split(" ")[0] for cell in browser.find_elements(By.CSS_SELECTOR, "#grid thead th")]
    shown = [dict(zip(titles, row, strict=True)) for row in rows(browser)]
    label = titles[0]
    kinds = ("bytes", "code", "rodata", "data", "bss", "symbols")
    ours = {row[label]: {kind: numbers(row[kind]) for kind in kinds} for row in shown}
    theirs = {line[label]: {kind: line[kind] for kind in kinds} for line in builds.document[key]}
    assert ours == theirs and len(shown) == len(theirs)


def test_the_sections_and_the_symbols(browser, page, builds):
    open_page(browser, page, "#view=tables&table=section")
    shown = [(row[0], row[1], int(row[2], 16), numbers(row[4])) for row in rows(browser)]
    sections = builds.document["sections"]
    assert sorted(shown) == sorted((o["section"], o["kind"], int(o["address"], 16), o["bytes"]) for o in sections)
    open_page(browser, page, "#view=tables&table=symbol")
    shown = [(row[0], int(row[1], 16), row[2], numbers(row[3]), numbers(row[4]), *row[5:]) for row in rows(browser)]
    keys = ("type", "size", "bytes", "section", "module", "object")
    expected = [(o["symbol"], int(o["address"], 16), *(o[key] for key in keys)) for o in builds.document["symbols"]]
    assert sorted(shown) == sorted(expected)


def test_the_heading(browser, builds):
    facts = find(browser, "#facts").text
    assert f"{builds.document['bytes']:,} bytes in 8 sections" in facts and builds.document["build_id"] in facts
    assert f"{len(builds.document['symbols'])} symbols, {builds.document['listed']} of them in kallsyms" in facts


def test_zoom_with_the_mouse_and_back(browser, builds):
    canvas = find(browser, "#treemap")
    ActionChains(browser).move_to_element_with_offset(canvas, *tile(browser, ".text")).perform()
    size = next(one["bytes"] for one in builds.document["sections"] if one["section"] == ".text")
    assert f".text: {size:,} bytes" in find(browser, "#point").text
    ActionChains(browser).click().perform()
    assert state(browser)["path"] == [".text"] and f"{size:,} bytes" in find(browser, "#inside").text
    inside = [row.text.split() for row in browser.find_elements(By.CSS_SELECTOR, "#contents tr")]
    assert sum(numbers(row[-2]) for row in inside) == size
    browser.back()
    assert state(browser)["path"] == []
    browser.forward()
    find(browser, "#crumbs a").click()
    assert state(browser)["path"] == []


def test_areas_are_as_the_bytes(browser):
    """Of each hierarchy: the tiles fill the canvas, none lies on another, and each is as large as its share."""
    script = """
        page.go({by: arguments[0], path: []});
        const {tiles, canvas, node} = page.treemap;
        return [canvas.clientWidth, canvas.clientHeight, node.bytes, tiles.map((tile) =>
            [tile.x, tile.y, tile.width, tile.height, tile.node ? tile.node.bytes : tile.bytes])]"""
    for hierarchy in ("section", "module", "directory", "option", "maintainer"):
        width, height, total, tiles = browser.execute_script(script, hierarchy)
        assert sum(tile[4] for tile in tiles) == total
        assert sum(tile[2] * tile[3] for tile in tiles) == pytest.approx(width * height)
        for x, y, across, down, size in tiles:
            assert across * down / (width * height) == pytest.approx(size / total), hierarchy
            assert x >= 0 and y >= 0 and x + across <= width + 0.01 and y + down <= height + 0.01
        for at, (x, y, across, down, _) in enumerate(tiles):
            for left, top, more, below, _ in tiles[:at]:
                apart = left + more <= x + 0.01 or x + across <= left + 0.01
                assert apart or top + below <= y + 0.01 or y + down <= top + 0.01, hierarchy


def test_zoom_with_the_keyboard(browser):
    browser.execute_script("document.getElementById('treemap').focus()")
    first = find(browser, "#point").text
    press(browser, Keys.ARROW_RIGHT)
    assert find(browser, "#point").text not in ("", first)
    press(browser, Keys.ENTER)
    (inside,) = state(browser)["path"]
    assert find(browser, "#crumbs [aria-current]").text == inside
    press(browser, Keys.ESCAPE)
    assert state(browser)["path"] == []


def test_everything_can_be_reached_with_the_tab_key(browser):
    browser.execute_script("document.activeElement.blur()")
    reached = set()
    for _ in range(80):
        press(browser, Keys.TAB)
        reached.add(browser.execute_script("return document.activeElement.id"))
    assert reached >= {
        "search",
        "address",
        "link",
        "theme",
        "tab-map",
        "by",
        "treemap",
        "addresses",
        "in",
        "out",
        "whole",
    }


def test_search_for_a_symbol(browser, builds):
    press(browser, "/")
    press(browser, "minix_mor")
    assert [hit.text.split()[0] for hit in browser.find_elements(By.CSS_SELECTOR, "#hits li")] == ["minix_more"]
    press(browser, Keys.ARROW_DOWN, Keys.ENTER)
    symbol = next(one for one in builds.document["symbols"] if one["symbol"] == "minix_more")
    said = find(browser, "#selection").text
    for word in (symbol["address"][2:], "minix_more", ".text", "fs/minix/inode.o", "fs/minix/inode.c",
                 "CONFIG_MINIX_FS", "MINIX FILE SYSTEM", f"{symbol['size']} from"):  # fmt: skip
        assert word in said, word
    assert state(browser)["path"] == [".text", "minix", "fs/minix/inode.o"]


def test_search_for_a_module_an_object_and_for_nothing(browser):
    field = find(browser, "#search")
    field.send_keys("otter_vf", Keys.ENTER)
    assert state(browser)["only"] == "otter_vf" and state(browser)["path"] == ["otter_vf"]
    field.clear()
    field.send_keys("minix/bitmap", Keys.ENTER)
    assert state(browser)["path"] == ["minix", "fs/minix/bitmap.o"]
    field.clear()
    field.send_keys("no_such_thing")
    assert find(browser, "#hits").text == "nothing is called so"
    field.send_keys(Keys.ENTER, Keys.ESCAPE)
    assert not find(browser, "#hits").is_displayed()


def test_an_address(browser, builds):
    symbol = next(one for one in builds.document["symbols"] if one["symbol"] == "minix_fill_super")
    find(browser, "#address").send_keys(f"0x{int(symbol['address'], 16) + 3:X}", Keys.ENTER)
    assert "minix_fill_super+0x3" in find(browser, "#selection").text
    for wrong, words in {"xyz": "an address is hexadecimal", "fff": "no section holds this address"}.items():
        find(browser, "#address").clear()
        find(browser, "#address").send_keys(wrong, Keys.ENTER)
        assert find(browser, "#point").text == words
        assert find(browser, "#address").get_attribute("aria-invalid") == "true"


def test_the_address_map(browser, builds):
    canvas = find(browser, "#addresses")
    browser.execute_script("arguments[0].scrollIntoView(); arguments[0].focus()", canvas)
    ActionChains(browser).move_to_element(canvas).click().perform()
    at = int(state(browser)["at"], 16)
    total, sections = 0, sorted(builds.document["sections"], key=lambda one: int(one["address"], 16))
    for one in sections:
        address = int(one["address"], 16)
        if address <= at < address + one["bytes"]:
            total += at - address
            break
        total += one["bytes"]
    assert abs(total / builds.document["bytes"] - 0.5) < 0.05
    press(browser, "+")
    shown = state(browser)
    assert abs(2 * (int(shown["to"]) - int(shown["from"])) - builds.document["bytes"]) < 4
    press(browser, Keys.ARROW_RIGHT)
    assert int(state(browser)["at"], 16) > at
    press(browser, "0")
    assert int(state(browser)["to"]) == builds.document["bytes"]


def test_the_address_map_has_the_colours_of_the_modules(browser):
    """Zoomed to a function, all of the map is of its module's colour; with another module alone, it is pale."""
    script = """
        const {kernel, colors, addresses} = page;
        const span = kernel.name.findIndex((name) => kernel.strings[name] === arguments[0]);
        const from = kernel.place[span];
        page.go({from: String(from), to: String(from + kernel.size[span]), only: arguments[1]});
        const ratio = addresses.canvas.width / addresses.canvas.clientWidth;
        const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
        copy.drawImage(addresses.canvas, 100 * ratio, 104 * ratio, 1, 1, 0, 0, 1, 1);
        const module = kernel.groups.module.labels.indexOf(kernel.called("module", span));
        return [[...copy.getImageData(0, 0, 1, 1).data], channels(colors.of(module))]"""
    for name in ("minix_fill_super", "crypto_register_alg", "start_kernel"):
        shown, expected = browser.execute_script(script, name, "")
        assert shown == [*expected, 255], name
    shown, _ = browser.execute_script(script, "minix_fill_super", "lkdtm")
    assert shown[3] < 100


def test_a_kept_link_shows_the_same(browser, page):
    open_page(browser, page)
    find(browser, "#search").send_keys("minix_fill_super", Keys.ENTER)
    before, said = state(browser), find(browser, "#selection").text
    fragment = browser.current_url.partition("#")[2]
    open_page(browser, page, f"#{fragment}")
    assert state(browser) == before and find(browser, "#selection").text == said
    canvas = "return document.getElementById('{}').toDataURL()"
    first = [browser.execute_script(canvas.format(name)) for name in ("treemap", "addresses")]
    open_page(browser, page, f"#{fragment}")
    assert [browser.execute_script(canvas.format(name)) for name in ("treemap", "addresses")] == first
    open_page(browser, page, "#view=nothing&by=nobody&path=%2F&at=zz&table=x&from=-5&to=abc")
    assert find(browser, "#treemap").rect["height"] > 100 and state(browser)["view"] == "map"


def test_sort_and_filter(browser, page):
    open_page(browser, page, "#view=tables&table=object")
    sizes = [numbers(row[2]) for row in rows(browser)]
    assert sizes == sorted(sizes, reverse=True)
    header = "#grid th[data-key=bytes]"
    find(browser, f"{header} button").click()
    assert find(browser, header).get_attribute("aria-sort") == "ascending"
    assert [numbers(row[2]) for row in rows(browser)] == sorted(sizes)
    find(browser, "#grid th[data-key=label] button").send_keys(Keys.ENTER)
    labels = [row[0] for row in rows(browser)]
    assert labels == sorted(labels)
    find(browser, "#filter").send_keys("minix inode")
    assert [row[0] for row in rows(browser)] == ["fs/minix/inode.o"]
    assert "1 of " in find(browser, "#grid caption").text and "filter=minix+inode" in browser.current_url
    find(browser, "#grid tbody a").click()
    assert state(browser)["view"] == "map" and state(browser)["path"] == ["minix", "fs/minix/inode.o"]


def test_changes(browser, builds):
    find(browser, "#tab-map").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert find(browser, "#tab-map").get_attribute("aria-selected") == "false"
    find(browser, "#tab-changes").click()
    total = sum(one["after"] - one["before"] for one in builds.document["changes"])
    assert f"{total:+,}" in find(browser, "#against").text
    old = {one["module"]: one["bytes"] for one in json.loads(report(builds.old, "--json"))["modules"]}
    new = {one["module"]: one["bytes"] for one in builds.document["modules"]}
    shown = {row[0]: tuple(map(numbers, row[1:4])) for row in rows(browser, "#grid-changes")}
    expected = {
        name: (old.get(name, 0), new.get(name, 0), new.get(name, 0) - old.get(name, 0))
        for name in old.keys() | new.keys()
    }
    assert shown["brd"] == (old["brd"], 0, -old["brd"]) and shown["minix"][2] > 0
    assert shown == {name: expected[name] for name in shown}
    assert {name for name, sizes in expected.items() if sizes[2]} <= shown.keys()
    assert sum(row[2] for row in shown.values()) == total
    for level in ("section", "object", "directory", "option", "maintainer", "symbol"):
        browser.execute_script(
            "const level = document.getElementById('level'); level.value = arguments[0];"
            "level.dispatchEvent(new Event('change'))",
            level,
        )
        assert sum(numbers(row[3]) for row in rows(browser, "#grid-changes")) == total, level
    find(browser, "#filter-changes").send_keys("minix_more")
    assert len(rows(browser, "#grid-changes")) == 1


def test_light_and_dark(browser, page):
    background = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(background) == "rgb(255, 255, 255)"
    find(browser, "#theme").click()
    dark = browser.execute_script(background)
    assert dark != "rgb(255, 255, 255)" and "theme=dark" in browser.current_url
    media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    open_page(browser, page)
    assert browser.execute_script(background) == dark
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_is_cut_off_at_400_percent(page):
    """A window of 1280 pixels at 400 % is one of 320 CSS pixels (WCAG 2.1, 1.4.10)."""
    with chromium(width=320, height=256, scale=4) as narrow:
        for fragment in ("", "#view=tables&table=section", "#view=changes", "#by=directory"):
            open_page(narrow, page, fragment)
            assert narrow.execute_script("return document.documentElement.scrollWidth") <= 320, fragment
            assert find(narrow, "#search").rect["width"] > 150
        assert complaints(narrow) == []


def test_colours_are_told_apart_by_who_sees_two(browser):
    """Each two of the modules' colours differ by 15 and more (CIE 1976) for normal eyes, and by 8 for protanopes and
    deuteranopes (Machado, Oliveira, Fernandes, 2009, severity 1).
    """
    colors = browser.execute_script("return HUES.map(channels)")
    matrices = {
        "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "protanopia": (
            (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
        ),
        "deuteranopia": (
            (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
        ),
    }  # fmt: skip
    for kind, matrix in matrices.items():
        seen = [lab(color, matrix) for color in colors]
        least = min(
            sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
            for at, one in enumerate(seen)
            for other in seen[:at]
        )
        assert least > (15 if kind == "normal" else 8), (kind, least)


def lab(color, matrix):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in color)]
    red, green, blue = (min(1, max(0, sum(m * part for m, part in zip(row, linear, strict=True)))) for row in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.long
def test_a_whole_defconfig_is_small_and_drawn_at_once(tmp_path):
    """With KALLMODSYMS_DEFCONFIG=OBJDIR, the build directory of an x86_64 defconfig: a minute."""
    page = tmp_path / "report.html"
    report(Path(os.environ["KALLMODSYMS_DEFCONFIG"]) / "vmlinux", "-o", page)
    assert page.stat().st_size < 8_000_000
    with chromium() as driver:
        assert min(open_page(driver, page) for _ in range(3)) < 1500
        assert complaints(driver) == [] and requests(driver) == []


@pytest.mark.long
def test_a_million_symbols(tmp_path):
    """It is drawn, and can be searched, sorted and filtered, in seconds: two minutes."""
    path = tmp_path / "report.html"
    path.write_text(page_text(synthetic(1_000_000)))
    assert path.stat().st_size < 20_000_000
    with chromium() as driver:
        driver.set_script_timeout(60)
        assert open_page(driver, path) < 10_000
        find(driver, "#search").send_keys("module_3999_function_999999", Keys.ENTER)
        assert "module_3999_function_999999" in find(driver, "#selection").text
        open_page(driver, path, "#view=tables&table=symbol&filter=function_77777")
        assert "symbols: 11 of 1,000,000" in find(driver, "#grid caption").text
        assert complaints(driver) == []
