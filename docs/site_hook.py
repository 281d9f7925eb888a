"""Makes the site of docs/ and of the pages beside it: a hook of mkdocs.

Links are written as they hold in the repository.  Here pages of docs/ are at the top, and README.md
is the first one; other files that a page links to, such as recipes, come with it.
"""

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
}
"""Pages that are not in docs/, and their names in the site."""
LINK: Final = re.compile(r"(\]\()([^)#\s:]+)(?=[)#])")


def on_files(files: Files, config: Any) -> Files:
    for name, there in PAGES.items():
        files.append(File.generated(config, there, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    names = {there: name for name, there in PAGES.items()}
    source = names.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def moved(link: re.Match[str]) -> str:
        target = normpath(f"{dirname(source)}/{link[2]}".lstrip("/"))
        there = PAGES.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(there) is None and (ROOT / target).is_file():
            files.append(File.generated(config, there, abs_src_path=str(ROOT / target)))
        return link[1] + relpath(there, dirname(page.file.src_uri) or ".")

    return LINK.sub(moved, markdown)
