from __future__ import annotations

import re
from html.parser import HTMLParser

from conversion.config.data_contract import Contract
from conversion.pages.caveats import drift_line
from conversion.pages.report import lead_rows, report_html
from conversion.pages.track_record import Drift, FactDrift
from tests.contract_files import hubspot, projects
from tests.records import LINE, lead_frame, record

HOSTILE = '</style><script>alert("x")</script><img src=http://evil.example/x onerror=alert(1)>'


class Tags(HTMLParser):
    """What a page has: elements with their attributes, and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def projects_rows() -> list[dict[str, object]]:
    return [
        {
            "id": "0007",
            "name": HOSTILE,
            "owner": HOSTILE,
            "country": HOSTILE,
            "plan": "team",
            "head_count": 12.0,
            "is_partner": True,
            "expected_mrr": 1234.5,
            "probability": 0.42,
            "tier": "very_high",
            "rank_before": 3.0,
            "probability_before": 0.2,
            "reason_1": HOSTILE,
            "caution": HOSTILE,
        },
        {"id": "A-2", "owner": "Ann", "probability": 0.3},
    ]


def without(contract: Contract, **companies: object) -> Contract:
    return contract.model_copy(update={"companies": contract.companies.model_copy(update=companies)})


def test_the_report_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    contract = projects()
    html = report_html(lead_frame(contract, projects_rows()), 2, record(), contract)
    page = Tags(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    addresses = [
        each[name] for _, each in page.elements for name in ("href", "src", "action") if name in each
    ]
    assert addresses
    assert all(str(address).startswith("#") for address in addresses)
    assert not any(name.startswith("on") or name == "style" for _, each in page.elements for name in each)
    assert "url(" not in html
    policy = next(
        each["content"] for _, each in page.elements if each.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_texts_of_companies_are_shown_as_they_are() -> None:
    contract = projects()
    page = Tags(report_html(lead_frame(contract, projects_rows()), 2, record(), contract))
    assert page.text.count(HOSTILE) == 5, "name, owner, country, reason, caution"


def test_a_lead_has_its_numbers_and_sentences() -> None:
    contract = projects()
    first, second = lead_rows(lead_frame(contract, projects_rows()), record(), contract)
    assert (first.rank, first.probability, first.tier, first.value) == ("1", "42 %", "very high", "EUR 1,234")
    assert first.moved == "Since last week: up from 3."
    assert ("Id", "0007") in first.details
    assert ("Employees", "12") in first.details
    assert ("Is partner", "yes") in first.details
    assert first.evidence == "Of 9 companies scored 33 % or more, 3 converted within 30 days"
    assert second.name == "Company A-2", "the first shown column is missing"
    assert second.moved == "Since last week: new."
    assert (second.reasons, second.caution, second.value) == ((), "", "")
    assert second.details == (("Id", "A-2"), ("Owner", "Ann"))


def test_a_first_list_says_nothing_of_last_week() -> None:
    contract = hubspot()
    (lead,) = lead_rows(lead_frame(contract, [{"expected_mrr": 5.0}]), record(), contract)
    assert lead.moved == ""
    assert lead.name == "Company 1"
    assert lead.value == "EUR 5.00"


def test_without_a_value_there_is_no_expected_value() -> None:
    contract = without(hubspot(), value=None)
    html = report_html(lead_frame(contract, [{}]), 1, record(), contract)
    assert "Expected value" not in html


def test_without_attributes_and_groups() -> None:
    contract = without(hubspot(), attributes={})
    (lead,) = lead_rows(lead_frame(contract, [{}]), record(), contract)
    assert lead.details == ()


def test_a_list_without_prospects() -> None:
    contract = hubspot()
    html = report_html(lead_frame(contract, []), 0, record(), contract)
    assert "There is no prospect this week." in html
    assert LINE in html


def test_the_same_results_give_the_same_bytes() -> None:
    contract = projects()
    one, other = (report_html(lead_frame(contract, projects_rows()), 2, record(), contract) for _ in range(2))
    assert one == other


def test_fifty_leads_are_small_enough_to_mail() -> None:
    contract = projects()
    rows = [{**projects_rows()[1], "id": f"A-{place}", "reason_1": "x" * 90} for place in range(50)]
    assert len(report_html(lead_frame(contract, rows), 50, record(), contract).encode()) < 400_000


def test_every_part_that_the_top_links_to_is_there() -> None:
    contract = hubspot()
    page = Tags(report_html(lead_frame(contract, [{}]), 1, record(), contract))
    links = {str(each["href"])[1:] for tag, each in page.elements if tag == "a"}
    assert links == {str(each["id"]) for tag, each in page.elements if tag == "section"}


def test_the_report_says_what_it_does_not_know() -> None:
    contract = hubspot()
    text = Tags(report_html(lead_frame(contract, [{}]), 1, record(), contract)).text
    assert "It is not a record of lists that went out" in text
    assert "control group" in text
    assert "does not say when companies signed up" in text
    assert "Look at this: no sector" in text


def test_of_a_contract_with_sign_ups_nothing_is_said_of_companies_that_had_not_signed_up() -> None:
    contract = projects()
    assert "does not say when" not in report_html(lead_frame(contract, []), 0, record(), contract)


def test_drift_in_a_sentence() -> None:
    assert "differ from those that the model learned from in: Size" in drift_line(record())
    still = record(drift=Drift(shifted=0, facts=(FactDrift(title="Size", index=0.01, verdict="no change"),)))
    assert "no fact has shifted" in drift_line(still)


def test_styles_cover_every_class_of_the_charts() -> None:
    contract = projects()
    html = report_html(lead_frame(contract, projects_rows()), 2, record(), contract)
    styles = html.split("<style>")[1].split("</style>")[0]
    used = {name for each in re.findall(r'class="([^"]*)"', html) for name in each.split()}
    unstyled = {name for name in used if f".{name}" not in styles}
    assert unstyled <= {"tier-low", "tier-medium", "waterfall", "figures", "score"}
