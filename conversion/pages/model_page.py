"""The page of the model: how good it was, beside the rule, and how to read each picture."""

from __future__ import annotations

from conversion.pages.layout import Site, render
from conversion.pages.track_record import TrackRecord


def model_page(record: TrackRecord, site: Site) -> str:
    """Render the page."""
    return render("model.html", site, record=record)
