"""What a delivery decided on each prospect: its status, and the statuses that go together."""

from __future__ import annotations

from typing import Final

LISTED: Final = "listed"
EXPLORED: Final = "explored"
HELD_BACK: Final = "held_back"
SUPPRESSED: Final = "suppressed"
OBJECTED: Final = "objected"
BELOW: Final = "below"
STATUSES: Final = (LISTED, EXPLORED, HELD_BACK, SUPPRESSED, OBJECTED, BELOW)
CALLED: Final = (LISTED, EXPLORED)
"""What stands on the call list."""
WITHIN_THE_CUT: Final = (LISTED, HELD_BACK)
"""What the draw of the control group decided on."""
DRAWN: Final = (LISTED, EXPLORED, HELD_BACK)
"""What a draw decided on: called, or held back."""
HIDDEN: Final = (HELD_BACK, SUPPRESSED, OBJECTED)
"""What a published list leaves out."""
OFFERED: Final = (LISTED, EXPLORED, BELOW)
"""What a published list has."""
