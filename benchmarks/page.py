"""How fast the report's explorer decodes, against the bare multiply-adds of the same layers in the same page.

    python benchmarks/page.py DIR     DIR holds a finished study with its report

For each network of the page, in turns: decoding one code, and as many multiply-adds in one loop over two arrays that
stay in cache. The ratio says how much of the page's time is arithmetic.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

TURNS = 7
SCRIPT = """async (k) => {
  await latentfit.ready;
  const net = JSON.parse(document.getElementById("explorer-data").textContent).networks.find((n) => n.latentDim === k);
  const sizes = [...net.layers].reverse();
  const products = sizes.slice(1).reduce((sum, out, i) => sum + out * sizes[i], 0);
  const a = new Float32Array(1024).fill(0.5), b = new Float32Array(1024).fill(0.25), z = new Float32Array(k);
  const bare = () => {
    let s = 0, t = 0, u = 0, v = 0;
    for (let done = 0; done < products; done += 1024) {
      for (let i = 0; i < 1024; i += 4) {
        s += a[i] * b[i]; t += a[i + 1] * b[i + 1]; u += a[i + 2] * b[i + 2]; v += a[i + 3] * b[i + 3];
      }
    }
    return s + t + u + v;
  };
  const timed = (act) => {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < 300) { act(); count++; }
    return (performance.now() - start) / count;
  };
  return { products, decode: timed(() => latentfit.decode(k, z)), bare: timed(bare) };
}"""


def main() -> None:
    """Print a line a network."""
    page_file = (Path(sys.argv[1]) / "report.html").resolve()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page()
        page.goto(page_file.as_uri())
        page.evaluate("latentfit.ready")
        for k in page.evaluate("latentfit.latentDims"):
            turns: list[dict[str, Any]] = [page.evaluate(SCRIPT, k) for _ in range(TURNS)]
            decode, bare = (median(turn[name] for turn in turns) for name in ("decode", "bare"))
            ratio = median(turn["decode"] / turn["bare"] for turn in turns)
            print(
                f"{k:4d} dimensions: {1000 / decode:6.0f} decodes a second of {turns[0]['products']:,} multiply-adds; "
                f"{ratio:.2f} times the bare ones ({bare:.3f} ms)"
            )
        browser.close()


if __name__ == "__main__":
    main()
