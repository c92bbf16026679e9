from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest

from conversion.pages.layout import STATIC, Site, company_path, static_file


@pytest.mark.parametrize(
    "company_id", [5, "a/b", "a b", "ü", "a?b#c", "100%", "%2e", "...", "\u2028", "a\\b", "'\"<"]
)
def test_the_address_of_a_company_leads_to_it(company_id: int | str) -> None:
    address = urljoin("http://host/crm/", Site("/crm").company(company_id))
    assert unquote(urlsplit(address).path) == f"/crm/companies/{company_id}"


@pytest.mark.parametrize("company_id", [".", ".."])
def test_ids_that_are_steps_in_a_path_stand_in_the_query(company_id: str) -> None:
    assert company_path(company_id) == f"/companies/?id={company_id}"


def test_the_address_of_a_file_changes_with_its_content() -> None:
    for name in STATIC:
        file = static_file(name)
        assert Site("/crm").asset(name) == f"/crm/static/{name}?v={file.hash}"
        assert file.content
