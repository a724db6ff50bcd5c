"""The documentation points only to what is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [one for one in targets if "://" not in one and not (page.parent / one).exists()]
    assert missing == []


def test_every_file_of_the_two_walks_exists() -> None:
    walks = (ROOT / "docs" / "house.md").read_text(encoding="utf-8").split("## Where does a row go?")[1]
    files = re.findall(r"`([a-z_/]+\.py)`", walks)
    assert len(files) > 12
    assert [file for file in files if not (ROOT / "funreason_train" / file).is_file()] == []


def test_every_page_is_in_the_readmes_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    others = {"bfcl_decoders.md"}  # of which the page on evaluation speaks
    assert [
        page.name for page in PAGES[1:] if f"docs/{page.name}" not in readme and page.name not in others
    ] == []


def test_every_script_that_the_pages_name_exists() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for script in set(re.findall(r"(?<!tests/)(?:launch|benchmarks)/[\w/]+\.(?:sh|py|sbatch)", text)):
        assert (ROOT / script).is_file(), script


def _pages(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in _pages(part)]


def test_every_page_stands_once_in_the_sites_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = _pages(site["nav"])
    assert sorted(listed) == sorted(page.name for page in PAGES[1:])
    assert (ROOT / site["docs_dir"] / listed[0]).name == "index.md"


def _anchors(page: Path) -> set[str]:
    """The headings of a page as both GitHub and MkDocs name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_stay_on_the_site_and_their_headings_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / place).resolve() if place else page
        on_site = found.is_relative_to(ROOT / "docs")
        assert page.name == "README.md" or on_site, f"{target} is not on the site"
        assert not anchor or anchor in _anchors(found), f"{target}: there is no such heading"


def test_every_setting_that_the_pages_show_exists() -> None:
    """`sft.loggers` stood in the README; there is no such setting."""
    from funreason_train.settings.compose import FREE_NODES, compose, leaves
    from funreason_train.settings.root import models

    known = set(leaves(compose(None)))
    sections = "|".join(name for name in models() if name)
    wrong = []
    for page in PAGES:
        if page.name == "settings.md":
            continue
        text = page.read_text(encoding="utf-8")
        for key in re.findall(rf"`((?:{sections})\.[a-z_.]*[a-z_])(?:=[^`]*)?`", text):
            free = any(key.startswith(f"{node}.") for node in FREE_NODES)
            if key not in known and not free and not key.endswith((".py", ".yaml", ".json", ".html")):
                wrong.append(f"{page.name}: {key}")
    assert wrong == []


def test_every_file_of_tests_and_benchmarks_that_the_pages_name_exists() -> None:
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"\b((?:tests|benchmarks)/[\w/]+\.py)\b", page.read_text(encoding="utf-8"))
    }
    assert [one for one in sorted(named) if not (ROOT / one[1]).is_file()] == [] and len(named) > 40


def test_every_test_that_the_pages_name_exists() -> None:
    named = 0
    for page in PAGES:
        file = ""
        for path, test in re.findall(r"`(tests/[\w/]+\.py)?::(test_\w+)`", page.read_text(encoding="utf-8")):
            file = path or file
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page.name}: {file}::{test}"
            named += 1
    assert named > 20
