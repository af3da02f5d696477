"""Every finding code has a page, and no page is of a code that does not exist."""

import pytest

from controlplane.files.catalogue import FILE_CATALOGUE
from controlplane.translate.catalogue import CATALOGUE
from controlplane.translate.guide.pages import PAGES

CODES = sorted(CATALOGUE | FILE_CATALOGUE)


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(code: str) -> None:
    assert code in PAGES, (
        f"{code} has no page: add a Page with cause, example and fix to the chapter of {code[:4]} in"
        " controlplane/translate/guide/, and run make docs"
    )


def test_no_page_is_of_a_code_that_does_not_exist() -> None:
    assert set(PAGES) <= set(CODES)


@pytest.mark.parametrize("code", PAGES)
def test_pages_are_whole_sentences_with_an_example(code: str) -> None:
    page = PAGES[code]
    for sentence in (page.cause, page.fix):
        assert sentence[0].isupper() or sentence.startswith("listen-ports")
        assert sentence.endswith(".")
    assert page.example
    assert "`" not in page.example
    assert all(text.isprintable() for text in (page.cause, page.example, page.fix))
