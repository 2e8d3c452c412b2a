"""The report in a real browser; skipped where there is none."""

import pytest
from shared_chromium import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def column(browser: Browser, number: int) -> list[str]:
    """Returns the values of a column of the leaderboard, from top to bottom."""
    return browser.evaluate(
        f"[...document.querySelectorAll('#board tbody tr')].map(r => r.cells[{number}].dataset.value)"
    )


def header(text: str) -> str:
    """Returns an expression for the button in the header of a column of the leaderboard."""
    return f"[...document.querySelectorAll('#board thead button')].find(b => b.innerText.trim().startsWith('{text}'))"


def test_nothing_is_loaded_nothing_is_thrown(browser, page, tmp_path):
    browser.events.clear()
    for width in (1400, 390):
        for is_dark in (False, True):
            browser.open(page, width, is_dark=is_dark)
            browser.evaluate("document.getElementById('open-all').click()")
            browser.screenshot(tmp_path / f"{width}.png")
    browser.call("Page.printToPDF")
    assert browser.complaints() == []
    assert {url for url in browser.requests() if not url.startswith("data:")} == {page.as_uri()}
    assert browser.evaluate("document.querySelectorAll('script').length") == 1


def test_a_click_on_a_header_sorts_and_another_turns_the_order(browser, page, run):
    browser.open(page)
    board = run.leaderboard()
    assert [int(value) for value in column(browser, 0)] == list(board["rank"])
    browser.evaluate(f"{header('parameters')}.click()")
    number = list(browser.evaluate("[...document.querySelectorAll('#board th button')].map(b => b.innerText.trim())"))
    index = next(n for n, text in enumerate(number) if text.startswith("parameters"))
    assert [int(value) for value in column(browser, index)] == sorted(board["parameters"], reverse=True)
    assert browser.evaluate(f"{header('parameters')}.parentElement.getAttribute('aria-sort')") == "descending"
    browser.evaluate(f"{header('parameters')}.click()")
    assert [int(value) for value in column(browser, index)] == sorted(board["parameters"])


def test_sorting_works_from_the_keyboard(browser, page, run):
    browser.open(page)
    browser.evaluate(f"{header('fitness')}.focus()")
    browser.press("Enter", "\r", 13)
    browser.press("Enter", "\r", 13)
    assert [float(value) for value in column(browser, 2)] == sorted(run.leaderboard()["fitness"])


def test_the_filter_leaves_what_has_every_word(browser, page, run):
    browser.open(page)
    cell = run.leaderboard()["cell"].iloc[-1]
    set_filter = (
        "(t => { const f = document.getElementById('filter'); f.value = t; f.dispatchEvent(new Event('input')) })"
    )
    visible = "[...document.querySelectorAll('#board tbody tr')].filter(r => !r.hidden).length"
    browser.evaluate(f"{set_filter}('{cell.upper()} linear')")
    assert browser.evaluate(visible) == 1
    assert browser.evaluate("document.getElementById('shown').textContent") == f"1 of {len(run.leaderboard())} cells"
    browser.evaluate(f"{set_filter}('no such cell')")
    assert browser.evaluate(visible) == 0
    browser.evaluate(f"{set_filter}('')")
    browser.evaluate("document.getElementById('above').click()")
    assert browser.evaluate(visible) == (run.leaderboard()["fitness"] > 1).sum()


def test_a_link_to_a_cell_opens_it(browser, page, run):
    browser.open(page)
    cell = run.leaderboard()["cell"].iloc[-1]
    is_open = f"document.getElementById('{cell}').open"
    assert browser.evaluate(is_open) is False
    browser.evaluate(f"document.querySelector('#board a[href=\"#{cell}\"]').click()")
    browser.evaluate("new Promise(resolve => setTimeout(resolve))")  # after the event that the click has caused
    assert browser.evaluate(is_open) is True


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_sticks_out_of_the_window(browser, page, width):
    browser.open(page, width)
    browser.evaluate("document.getElementById('open-all').click()")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_a_wide_drawing_is_never_made_too_small_to_read(browser, page):
    browser.open(page, 1000)
    browser.evaluate("document.getElementById('open-all').click()")
    shares = browser.evaluate(
        "[...document.querySelectorAll('.drawing svg')]"
        ".map(d => d.getBoundingClientRect().width / Number(d.getAttribute('width')))"
    )
    assert all(0.599 <= share <= 1.001 for share in shares)
    drawing = "document.querySelector('.drawing svg')"
    browser.evaluate(f"{drawing}.style.setProperty('--wide', '4000px')")
    assert browser.evaluate(f"{drawing}.getBoundingClientRect().width") == 2400
    assert browser.evaluate(f"{drawing}.parentElement.scrollWidth > {drawing}.parentElement.clientWidth")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 1000


# WCAG 2.1, 1.4.3: a contrast of 4.5 between the ink, also the soft one, and both backgrounds
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d');
  const value = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const light = name => {
    canvas.fillStyle = value(name); canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const inks = ['--ink', '--soft', '--link', '--good', '--bad'];
  return Math.min(...inks.flatMap(ink => ['--paper', '--ground'].map(back => ratio(light(ink), light(back)))));
})()
"""


def test_texts_stand_out_from_what_is_behind_them(browser, page):
    for is_dark in (False, True):
        browser.open(page, is_dark=is_dark)
        assert browser.evaluate(CONTRAST) >= 4.5


def test_paper_is_white_also_for_those_who_like_it_dark(browser, page):
    browser.open(page, is_dark=True)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    colour = "getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()"
    assert browser.evaluate(colour) != "#ffffff"
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert browser.evaluate(colour) == "#ffffff"
    assert browser.evaluate(CONTRAST) >= 4.5
    browser.call("Emulation.setEmulatedMedia", media="", features=[dark])
