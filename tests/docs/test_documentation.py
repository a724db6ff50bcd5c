"""The documentation points only to what is there."""

import re
from pathlib import Path

import pytest

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
    for script in set(re.findall(r"(?:launch|benchmarks)/[\w/]+\.(?:sh|py|sbatch)", text)):
        assert (ROOT / script).is_file(), script
