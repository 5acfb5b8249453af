"""The page in a browser without a network: tiles show, the divider moves, values are those of the FITS."""

import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from small_sky import EDGE, SIZE, Sky

from skydenoise.errors import StepError
from skydenoise.io import read_brick
from skydenoise.sky.viewer import fetch_viewer

CHROMIUM = shutil.which("chromium")
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a GPU
PATIENCE = 120  # seconds


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    try:
        fetch_viewer(folder, 20)
    except StepError as error:
        pytest.skip(f"no viewer: {error}")
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def opened(address: str) -> Iterator[Page]:
    """The page at an address; no line of its console is an error, and it asked nobody else for anything."""
    wrong: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[OFFLINE, *SOFTWARE])
        page = browser.new_page(viewport={"width": 1000, "height": 600})
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        here = (address, "blob:", "data:")
        page.on("request", lambda each: None if each.url.startswith(here) else wrong.append(each.url))
        page.goto(address)
        page.locator("#bricks tr").first.wait_for(timeout=1000 * PATIENCE)
        yield page
        browser.close()
    assert wrong == []


def until(page: Page, condition: Callable[[], bool]) -> None:
    for _ in range(5 * PATIENCE):
        if condition():
            return
        page.wait_for_timeout(200)
    pytest.fail("this never came to be")


def roughness(page: Page, left: float, right: float) -> float:
    """Mean difference of neighbouring pixels between two parts of the view's width, in its middle."""
    box = page.locator("#views").bounding_box()
    assert box is not None
    part = {"x": box["x"] + left * box["width"], "width": (right - left) * box["width"]}
    shown = page.screenshot(
        clip={**part, "y": box["y"] + 0.45 * box["height"], "height": 0.1 * box["height"]}
    )
    pixels = np.asarray(Image.open(io.BytesIO(shown)).convert("L"), dtype=float)
    return float(np.abs(np.diff(pixels, axis=1)).mean())


def at(found: list[list[float]], place: tuple[float, float]) -> int:
    """How many of these sources are at a place."""
    offsets = np.array(found)[:, :2] - place
    return int((np.hypot(0.5 * offsets[:, 0], offsets[:, 1]) < 3 * EDGE).sum())


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path (Debian: apt install chromium)")
def test_before_and_after_can_be_compared_without_a_network(sky: Sky, viewer: Path) -> None:
    sky.add(sky.brick("0001p600"))
    sky.finish()
    shutil.copy(viewer / "aladin.js", sky.root)
    brick = read_brick(sky.folder / "raw", "0001p600", ("r",))
    with served(sky.root) as address, opened(address) as page:
        page.locator("#found").uncheck()
        until(page, lambda: roughness(page, 0.35, 0.45) > 5)  # the input, with its noise
        assert roughness(page, 0.55, 0.65) < 1
        handle = page.locator("#divider").bounding_box()
        assert handle is not None
        page.mouse.move(handle["x"] + 8, 300)
        page.mouse.down()
        page.mouse.move(handle["x"] - 0.2 * 616, 300, steps=5)
        page.mouse.up()
        until(page, lambda: roughness(page, 0.35, 0.45) < 1)

        page.mouse.move(300, 310)
        page.mouse.move(302, 312)
        until(page, lambda: page.locator("#value-input-r").count() == 1)
        wcs = WCS(brick.headers[0])
        ra, dec = map(float, str(page.locator("#place").text_content()).split())
        x, y = np.rint(wcs.world_to_pixel_values(ra, dec)).astype(int)
        near = brick.image[0, y - 1 : y + 2, x - 1 : x + 2]  # the place is told to 0.04 arcsec
        shown = float(str(page.locator("#value-input-r").text_content()))
        assert np.abs(near / shown - 1).min() < 1e-3

        generator = np.random.default_rng(0)
        for x, y in generator.integers(3, SIZE - 3, (10, 2)):
            ra, dec = wcs.pixel_to_world_values(x, y)
            values = page.evaluate("([ra, dec]) => sky.valuesAt(ra, dec)", [float(ra), float(dec)])
            near = brick.image[0, y - 1 : y + 2, x - 1 : x + 2]
            assert np.abs(near - values["input-r"]).min() < 1e-6
        assert page.evaluate("async () => Number.isNaN((await sky.valuesAt(90, 0))['input-r'])")

        page.locator("#layer").select_option("r")
        page.locator("#flags").check()
        page.locator("#sigma").check()
        page.locator("#aside").check()
        page.locator("#bricks tr").first.click()
        until(page, lambda: roughness(page, 0.2, 0.3) > 1)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path (Debian: apt install chromium)")
def test_a_source_of_two_bricks_is_drawn_once(sky: Sky, viewer: Path) -> None:
    sky.add(sky.brick("0001p600"), sky.brick("0002p600", 80))
    sky.finish()
    shutil.copy(viewer / "aladin.js", sky.root)
    shared = WCS(read_brick(sky.folder / "raw", "0001p600", ("r",)).headers[0]).pixel_to_world_values(
        120, 120
    )
    listed = [json.loads(path.read_text())["input"] for path in (sky.root / "found/000").iterdir()]
    assert [at(found, shared) for found in listed] == [1, 1]
    with served(sky.root) as address, opened(address) as page:
        until(page, lambda: len(page.evaluate("sky.sourcesOf('input')")) >= 15)
        assert at(page.evaluate("sky.sourcesOf('input')"), shared) == 1
