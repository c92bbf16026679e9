"""The pages over HTTP: what each route answers, and with which headers."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import re
from urllib.parse import urlencode

import pytest

from conversion.pages.layout import STATIC, company_path, static_file
from conversion.serving.page_routes import Pages
from tests.pipeline import Pipeline
from tests.records import record
from tests.serving import Client, first_id, leads_of, page_of, projects_pipeline, state_of


@pytest.fixture(scope="module")
def projects_client() -> Client:
    return Client(state_of(projects_pipeline(), track_record=record()))


# Pages


def test_the_list(client: Client, projects_client: Client) -> None:
    for each in (client, projects_client):
        text = page_of(each.get("/"))
        assert "Who to call this week" in text
        assert each.state.leads is not None
        assert f"{len(each.state.leads.leads):,} companies on the free tier" in text
        assert company_path(first_id(each)) in text


def test_a_bad_parameter_is_400_and_one_sentence(client: Client) -> None:
    for path in ("/?tier=top", "/leads.csv?tier=top"):
        assert "There is no tier “top”." in page_of(client.get(path), 400)


def test_each_lead_has_its_page(client: Client, projects_client: Client) -> None:
    for each in (client, projects_client):
        assert each.state.leads is not None
        for company_id in each.state.leads.leads["id"].head(5).tolist():
            text = page_of(each.get(company_path(company_id)))
            assert "How the score comes about" in text
            assert "Similar companies that became customers" in text
            assert "data-what-if" in text


@pytest.mark.parametrize("path", ["/companies/999", "/companies/x", "/companies/", "/companies/..%2F.."])
def test_other_companies_are_not_on_the_list(projects_client: Client, path: str) -> None:
    assert "This company is not on the list of the week." in page_of(projects_client.get(path), 404)


@pytest.mark.parametrize("path", ["/companies/x", "/companies/1.0", "/companies/9999999999999999999999"])
def test_what_is_no_whole_id_is_not_on_the_list(client: Client, path: str) -> None:
    page_of(client.get(path), 404)


@pytest.mark.parametrize(
    "company_id", ["a/b", "ü ö", "a?b#c", "100%", "..", ".", "\u2028", "<b>", "'\"", "\u202egnp"]
)
def test_any_text_may_be_an_id(company_id: str) -> None:
    leads = leads_of(projects_pipeline())
    renamed = leads.leads.assign(id=[company_id, *leads.leads["id"].iloc[1:]])
    files = dataclasses.replace(leads.files, leads=renamed)
    client = Client(state_of(projects_pipeline(), leads=dataclasses.replace(leads, files=files)))
    response = client.get(company_path(company_id))
    page_of(response)
    assert f'<span class="of">Id</span> <bdi>{company_id}</bdi>' in html.unescape(response.text)


def test_the_model(client: Client, projects_client: Client) -> None:
    assert record().line in page_of(projects_client.get("/model"))
    assert "There is no track record" in page_of(client.get("/model"), 404)


def test_without_a_list(pipeline: Pipeline) -> None:
    state = dataclasses.replace(state_of(pipeline), leads=None)
    for path in ("/", "/leads.csv", "/companies/1"):
        assert "There is no list yet" in page_of(Client(state).get(path), 404)


def test_the_list_of_another_model_is_shown_and_says_so(pipeline: Pipeline) -> None:
    leads = leads_of(pipeline)
    manifest = leads.files.manifest.model_copy(update={"model_sha256": "ab" * 32})
    files = dataclasses.replace(leads.files, manifest=manifest)
    client = Client(state_of(pipeline, leads=dataclasses.replace(leads, files=files)))
    assert "Another model made this list" in page_of(client.get("/"))
    text = page_of(client.get(company_path(first_id(client))))
    assert "nothing can be tried until the pipeline has run again" in text
    assert "How the score comes about" in text


def test_the_download(projects_client: Client) -> None:
    response = projects_client.get("/leads.csv?by.plan=free&sort=name")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="leads-\d{4}-\d\d-\d\d.csv"', response.headers["content-disposition"]
    )
    assert response.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))
    assert rows
    assert {row["plan"] for row in rows} == {"free"}
    names = [row["name"].casefold() for row in rows]
    assert names == sorted(names)


def test_other_methods_are_refused(client: Client) -> None:
    for path in ("/", "/model", "/companies/1", "/leads.csv", "/static/page.css"):
        assert client.request("DELETE", path).status_code == 405
    assert client.get("/logout").status_code == 405


# What if


def test_what_if_changes_what_the_api_would_answer(projects_client: Client) -> None:
    company_id = first_id(projects_client)
    lead = projects_client.get(f"/leads/{company_id}").json()
    attributes = {name: lead[name] for name in ("country", "plan", "head_count", "is_partner")}
    last = projects_client.state.leads.as_of.toordinal() - 7
    day = type(projects_client.state.leads.as_of).fromordinal(last).isoformat()
    usage = [week for week in lead["usage"] if week["week"] != day]
    week = {"week": day, "projects_actions": 300, "projects_users": 9, "automation_runs": 0}
    week |= {"invoices_sent": 0, "invoices_users": 0}
    request = {
        "id": company_id,
        "as_of": projects_client.state.leads.as_of.isoformat(),
        "usage": [*usage, week],
    }
    answer = projects_client.post("/predict/single", request | attributes | {"plan": "business"}).json()
    given = {"set.plan": "business"} | {
        f"week.{name}": value for name, value in week.items() if name != "week"
    }
    text = page_of(projects_client.get(f"{company_path(company_id)}?{urlencode(given)}"))
    result = text[text.index("data-result") :]
    for reason in answer["reasons"]:
        assert f"<li>{reason}</li>" in result


def test_what_if_without_a_change_changes_nothing(projects_client: Client) -> None:
    company_id = first_id(projects_client)
    text = page_of(projects_client.get(company_path(company_id)))
    fields = re.findall(r'<input id="\w+" name="(week\.[^"]+)"[^>]* value="(\d+)"', text)
    assert len(fields) == 5
    again = page_of(projects_client.get(f"{company_path(company_id)}?{urlencode(fields)}"))
    assert "No change, from" in again


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"set.head_count": "x"}, "Employees should be a number."),
        ({"set.nothing": "1"}, "A company has no “set.nothing”."),
        ({"set.head_count": "-5"}, "head_count: given -5.0, allowed is greater than 0"),
        ({"set.head_count": "nan"}, "head_count: given nan, allowed is a finite number"),
        ({"set.plan": "gold"}, "plan: given 'gold', allowed is one of 'free', 'team' or 'business'"),
        ({"week.projects_actions": "1", "week.projects_users": "2"}, "allowed is at most projects_actions"),
    ],
)
def test_a_change_that_is_refused_is_told_in_a_sentence(
    projects_client: Client, given: dict[str, str], sentence: str
) -> None:
    path = f"{company_path(first_id(projects_client))}?{urlencode(given)}"
    assert sentence in page_of(projects_client.get(path), 400)


# Static files


@pytest.mark.parametrize("name", STATIC)
def test_static_files_are_kept_as_long_as_their_address_stays(client: Client, name: str) -> None:
    file = static_file(name)
    response = client.get(f"/static/{name}?v={file.hash}")
    assert response.content == file.content
    assert response.headers["content-type"] == STATIC[name]
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get(f"/static/{name}?v=old").headers["cache-control"] == "no-cache"
    again = client.get(f"/static/{name}", headers={"if-none-match": f'W/"x", {response.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["base.html", "report.css", "../layout.py", "..%2Flayout.py", "%2Fetc%2Fpasswd", ""]
)
def test_no_other_file_is_served(client: Client, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_the_list_is_prepared_once(client: Client) -> None:
    assert client.state.leads is not None
    pages = Pages(client.state)
    assert pages.data is not None
    assert pages.data.table is pages.data.table
