"""A real browser without a window, which tells how a page is laid out and painted."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
)  # fmt: skip
DARK: Final = 0
LIGHT: Final = 1
"""Blink's numbers of the two colour schemes."""

_POLICY: Final = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_ASK: Final = """
<script>
addEventListener("load", () => {
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = colour(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const contrast = (node) => {
    const own = getComputedStyle(node);
    const ink = colour(node.closest("svg") ? own.fill : own.color);
    const [dark, bright] = [light(ink), light(ground(node))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const wide = [...document.querySelectorAll("body *")].filter((node) =>
    !node.closest("svg, pre, .scroll") && node.getBoundingClientRect().right > innerWidth + 1);
  const clipped = [...document.querySelectorAll("svg text")].filter((node) => {
    const text = node.getBoundingClientRect();
    return text.right > innerWidth + 1 || text.left < -1;
  });
  const told = [...document.querySelectorAll(
    "p, h1, h2, h3, td, th, dt, dd, small, figcaption, pre, code, li, a, footer, svg text")]
    .filter((node) => node.textContent.trim()).map((node) => [contrast(node), node.textContent]);
  const least = told.sort((a, b) => a[0] - b[0])[0];
  const found = {
    width: innerWidth,
    page: document.documentElement.scrollWidth,
    wide: wide.map((node) => node.outerHTML.slice(0, 120)),
    scrolled: [...document.querySelectorAll(".stack")]
      .filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.outerHTML),
    clipped: clipped.map((node) => node.textContent),
    images: [...document.images].map((image) => [image.naturalWidth, image.width]),
    charts: [...document.querySelectorAll("svg")].map((chart) => chart.clientWidth),
    background: colour(getComputedStyle(document.body).backgroundColor),
    contrast: contrast(document.querySelector("p")),
    least: least,
  };
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>
"""


def chromium() -> str:
    """Where the browser is; the test is skipped where there is none."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    return pytest.skip(f"no browser on PATH ({', '.join(NAMES)})")


def _open(page: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """What a browser of a profile of its own makes of a page: its document, and its console."""
    profile = folder / "profile"
    command = [chromium(), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    shutil.rmtree(profile, ignore_errors=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def console_of(page: Path, folder: Path) -> list[str]:
    """What a browser writes to its console while it opens the page as it is."""
    done = _open(page, folder, "--dump-dom")
    assert "</html>" in done.stdout
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look(page: Path, folder: Path, *, width: int, scheme: int) -> dict[str, Any]:
    """How the page is laid out and painted, told by a script in a copy that allows one."""
    text, lifted = _POLICY.subn("", page.read_text(encoding="utf-8"))
    assert lifted == 1
    # In a frame, because a window has a least width of its own.
    copy = folder / "copy.html"
    copy.write_text(text.replace("</body>", f"{_ASK}</body>"), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(
        f'<!doctype html><body><iframe id="frame" src="copy.html" width="{width}" height="800" '
        'style="border:0"></iframe><script>onload = () => { const read = () => '
        'document.getElementById("frame").contentDocument.getElementById("found"); '
        "document.body.innerHTML = `<pre id=found>${read().innerHTML}</pre>`; };</script>",
        encoding="utf-8",
    )
    done = _open(
        frame,
        folder,
        "--allow-file-access-from-files",
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={max(width, 600)},900",
        "--dump-dom",
    )
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stdout[:2000] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found
