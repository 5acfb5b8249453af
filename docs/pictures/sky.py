"""Draw sky.png from a run: `python docs/pictures/sky.py results/demo/sky` (needs the extra `test`)."""

import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import sync_playwright

SOFTWARE = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a GPU


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that logs nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def main(folder: Path, picture: Path) -> None:
    """Open the page of `folder` in Debian's Chromium, and save what it shows when its tiles are there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
            page = browser.new_page(viewport={"width": 1400, "height": 800})
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.locator("#bricks tr").first.wait_for()
            page.locator("#bricks tr").nth(1).click()
            page.wait_for_timeout(15_000)
            page.screenshot(path=picture)
            browser.close()
        server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_suffix(".png"))
