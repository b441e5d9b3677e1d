"""Pages in headless Chromium: what a click or a key does is seen in the pixels."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from ebm_jax.reporting.compare import write_comparison
from ebm_jax.reporting.report import write_report

MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync")  # fmt: skip


@pytest.fixture
def browser(tmp_path):
    """Chromium with a profile of its own; at the end it must have nothing to complain about."""
    options = Options()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        resize(driver, 1280, 1000)
        driver.get("about:blank")
        driver.get_log("performance")  # of the browser's own first page
        yield driver
        assert driver.get_log("browser") == []
        messages = [json.loads(row["message"])["message"] for row in driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages
                 if m["method"] == "Network.requestWillBeSent"]  # fmt: skip
        assert asked and all(url.startswith(("file:", "data:")) for url in asked)
        assert len([url for url in asked if url.startswith("file:")]) == 1  # the page itself
    finally:
        driver.quit()


def resize(driver, width, height):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )


@pytest.fixture
def page(browser, tmp_path, fake):
    """The browser at a report with an explorer."""
    workdir = fake.make_run(tmp_path / "run", result=fake.evaluation())
    fake.add_explorer(workdir)
    browser.get(write_report(workdir).as_uri())
    browser.implicitly_wait(10)  # until the sprite is decoded
    assert one(browser, ".explorer-body").is_displayed()
    return browser


def one(driver, selector):
    return driver.find_element("css selector", selector)


def every(driver, selector):
    return driver.find_elements("css selector", selector)


def grey_of(driver, selector, index=0):
    """The one colour of a canvas's own pixels."""
    data = driver.execute_script(
        "const c = document.querySelectorAll(arguments[0])[arguments[1]];"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]",
        selector, index,
    )  # fmt: skip
    (colour,) = {tuple(data[i : i + 4]) for i in range(0, len(data), 4)}
    assert len(set(colour[:3])) == 1 and colour[3] == 255
    return colour[0]


def seen(element):
    """An element's pixels on the screen."""
    png = base64.b64decode(element.screenshot_as_base64)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def slide(driver, index, value):
    """Drags a slider to a value."""
    driver.execute_script(
        "const s = document.querySelectorAll('input[type=range]')[arguments[0]];"
        "s.value = arguments[1]; s.dispatchEvent(new Event('input', {bubbles: true}));",
        index, value,
    )  # fmt: skip


def values(driver):
    return [float(s.get_property("value")) for s in every(driver, ".track input")]


def test_a_slider_moves_one_unit_and_reset_puts_it_back(page, fake):
    shown = one(page, ".moved")
    before = seen(shown)
    assert grey_of(page, ".moved") == fake.grey(0, 0, 0)
    assert values(page) == [0.4, -1.0, 0.0]  # the second's own value, -3, is off the track
    assert [o.text for o in every(page, "output")][:2] == ["+0.40 σ", "−3.00 σ"]
    assert not one(page, ".reset").is_enabled()
    slide(page, 1, 0.8)  # to the nearest place, 1
    assert grey_of(page, ".moved") == fake.grey(0, 2, 2)
    assert values(page) == [0.4, 1.0, 0.0]
    assert one(page, ".said").text == "Layer 1 (bottom), unit 7 at +1.0 σ"
    after = seen(shown)
    assert abs(int(after[20, 20, 0]) - fake.grey(0, 2, 2)) <= 1 and (after != before).any()
    slide(page, 0, -1)
    assert grey_of(page, ".moved") == fake.grey(0, 1, 0)
    assert values(page) == [-1.0, -1.0, 0.0]  # the other is back at its own value
    assert len(every(page, ".unit.active")) == len(every(page, ".here")) == 1
    one(page, ".reset").click()
    assert grey_of(page, ".moved") == fake.grey(0, 0, 0)
    assert values(page) == [0.4, -1.0, 0.0] and not every(page, ".unit.active, .here")
    np.testing.assert_array_equal(seen(shown), before)


def test_the_difference_is_red_where_brighter_and_blue_where_darker(page, fake):
    def difference():
        return seen(one(page, ".difference"))[20, 20].astype(int)

    assert (difference() == 255).all()
    slide(page, 1, 1.0)  # from 0 to 50
    np.testing.assert_allclose(difference(), (255, 205, 205), atol=1)
    assert grey_of(page, ".base", 1) == fake.grey(1, 0, 0)


def test_another_base_keeps_the_move_and_shows_it_of_every_base(page, fake):
    slide(page, 1, 1.0)
    assert [grey_of(page, ".same", b) for b in (0, 1)] == [fake.grey(b, 2, 2) for b in (0, 1)]
    before = seen(one(page, ".moved"))
    every(page, ".bases label")[1].click()
    assert grey_of(page, ".moved") == fake.grey(1, 2, 2)
    assert (seen(one(page, ".moved")) != before).any()
    assert values(page) == [0.5, 1.0, -0.7]
    strip = [grey_of(page, "[data-row='2'] .places canvas", c) for c in range(3)]
    assert strip == [fake.grey(1, 2, c) for c in range(3)]
    one(page, ".reset").click()
    assert grey_of(page, ".moved") == fake.grey(1, 0, 0)


def test_keys_go_from_stop_to_stop(page, fake):
    first = every(page, ".track input")[0]
    first.send_keys(Keys.ARROW_RIGHT)  # from its own 0.4 to the next place
    assert values(page)[0] == 1.0 and grey_of(page, ".moved") == fake.grey(0, 1, 2)
    first.send_keys(Keys.ARROW_RIGHT)
    assert values(page)[0] == 1.0
    first.send_keys(Keys.ARROW_LEFT)  # back to the base itself
    assert values(page)[0] == 0.4 and grey_of(page, ".moved") == fake.grey(0, 0, 0)
    first.send_keys(Keys.ARROW_LEFT)
    assert values(page)[0] == 0.0 and grey_of(page, ".moved") == fake.grey(0, 1, 1)
    first.send_keys(Keys.HOME)
    assert values(page)[0] == -1.0 and grey_of(page, ".moved") == fake.grey(0, 1, 0)
    assert first.get_attribute("aria-valuetext") == "-1.0 standard deviations"
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element == every(page, ".track input")[1]


def test_layers_and_images_can_be_chosen(page, fake):
    assert [panel.is_displayed() for panel in every(page, ".units")] == [True, False]
    ActionChains(page).move_to_element(every(page, ".layers label")[1]).click().perform()
    assert [panel.is_displayed() for panel in every(page, ".units")] == [False, True]
    every(page, "[data-row='3'] .places canvas")[2].click()
    assert grey_of(page, ".moved") == fake.grey(0, 3, 2)
    every(page, ".layers input")[1].send_keys(Keys.ARROW_UP)
    assert [panel.is_displayed() for panel in every(page, ".units")] == [True, False]
    assert grey_of(page, ".moved") == fake.grey(0, 3, 2)  # a layer is looked at, nothing moves


@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_wider_than_the_window(page, tmp_path, fake, width):
    resize(page, width, 900)
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.execute_script(overflow) <= 0


@pytest.mark.parametrize("width", [400, 1280])
def test_the_comparison_loads_and_fits(browser, tmp_path, fake, width):
    runs = [
        fake.make_run(tmp_path / name, fake.config(step_size=size), fake.evaluation(), steps=steps)
        for name, size, steps in (("a_long_name_of_a_run", 0.1, 100), ("b", 0.2, 40))
    ]
    resize(browser, width, 900)
    browser.get(write_comparison(runs, tmp_path / "compare.html").as_uri())
    assert all(
        browser.execute_script("return arguments[0].naturalWidth > 0", image)
        for image in every(browser, "img")
    )
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) <= 0
