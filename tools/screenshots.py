"""Screenshots of a report, to be looked at, and the two that the README shows: `make screenshots`.

screenshots.py DIR OUT     the report of the study in DIR at three widths, light and dark, into OUT; and into
                           docs/screenshots its dials, and the answer of the study of many sizes
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

WIDTHS = (360, 1400, 2000)
ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "screenshots"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    """Write them all."""
    page_file, out = Path(sys.argv[1]).resolve() / "report.html", Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for width in WIDTHS:
            for scheme in SCHEMES:
                context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
                page = context.new_page()
                page.goto(page_file.as_uri())
                page.evaluate("window.latentfit?.ready")
                page.wait_for_timeout(1000)
                page.screenshot(path=out / f"{width}-{scheme}.png", full_page=True)
                if (width, scheme) == (1400, "light"):
                    page.evaluate("document.getElementById('choose').hidden = true")  # it would lie over the dials
                    page.locator("#dials").screenshot(path=DOCS / "explorer.png")
                context.close()
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto((ROOT / "results" / "flagship" / "report.html").as_uri())
        page.locator(".tile").screenshot(path=DOCS / "answer.png")
        browser.close()


if __name__ == "__main__":
    main()
