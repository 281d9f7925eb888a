"""Makes `report.png` for docs/report.md from the page of a finished run, in a browser.

python docs/images/report.py runs/digits
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

SHOWN = ("over-the-steps", "score-over-steps", "diagnosis")
"""Sections of the page that the picture has; its head comes first."""
WIDTH, MOST_HEIGHT, COLOURS = 1280, 6000, 200
MARGIN = 40


def main(run: Path) -> None:
    """Head and some sections, as a desk sees them."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("there is no chromium on PATH")
    text = (run / "report.html").read_text(encoding="utf-8")
    others = "".join(f":not(#{name})" for name in SHOWN)
    style = f"<style>section{others}, footer {{ display: none }} section {{ margin-top: 3rem }}"
    with tempfile.TemporaryDirectory() as folder:
        page, drawn = Path(folder) / "page.html", Path(folder) / "page.png"
        page.write_text(text.replace("</head>", f"{style}</style></head>"), encoding="utf-8")
        subprocess.run(  # noqa: S603 - the browser that the reader has, on a page of theirs
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{MOST_HEIGHT}",
                f"--screenshot={drawn}", page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        picture = Image.open(drawn).convert("RGB")
    blank = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    box = ImageChops.difference(picture, blank).getbbox()
    bottom = MOST_HEIGHT if box is None else min(box[3] + MARGIN, MOST_HEIGHT)
    picture.crop((0, 0, WIDTH, bottom)).quantize(COLOURS).save(
        Path(__file__).with_suffix(".png"), optimize=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
