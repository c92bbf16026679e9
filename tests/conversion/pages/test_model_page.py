from __future__ import annotations

import re

from conversion.pages.model_page import model_page
from tests.contract_files import projects
from tests.lists import SITE
from tests.records import record
from tests.scorecards import a_year, results_of


def page(**given: object) -> str:
    return " ".join(model_page(record(**given), projects(), True, SITE).split())


def test_each_picture_has_a_sentence_on_how_to_read_it() -> None:
    text = page()
    assert record().line in text
    figures = re.findall(r"<figure.*?</figure>", text)
    assert len(figures) >= 9
    assert all("<figcaption>" in figure for figure in figures)


def test_it_says_when_the_record_is_of_another_model() -> None:
    notice = "the record of another model"
    assert notice not in page()
    assert notice in model_page(record(), projects(), False, SITE)


def test_data_that_needs_a_look_stands_out() -> None:
    assert '<strong class="warning">Look at this:</strong> no sector' in page()


def test_without_a_rule() -> None:
    assert "What a probability means" in page(rule=None)


def test_nothing_is_inline() -> None:
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script|https?://", page())


def test_lists_that_went_out_are_told_once_one_is_old_enough() -> None:
    deliveries, export, _ = a_year()
    results = results_of(deliveries, export)
    none = results.model_copy(update={"lists": ()})
    with_lists, without = (model_page(record(), projects(), True, SITE, each) for each in (results, none))
    assert "What became of each list" in with_lists
    assert "What became of each list" not in without
