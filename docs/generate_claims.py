"""Write docs/claims.md from the ledger of claims; with --check, say whether it is up to date."""

import sys
from pathlib import Path

from mulligan.claims.ledger import read_ledger
from mulligan.claims.recorded import read_recorded
from mulligan.claims.summary import entries
from mulligan.report.claims_markdown import claims_markdown

PAGE = Path(__file__).parent / "claims.md"


def main() -> None:
    """Write the page, or exit with 1 when it differs from what would be written."""
    text = claims_markdown(entries(read_ledger(), read_recorded()))
    if "--check" not in sys.argv:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        sys.exit("docs/claims.md differs from the ledger; run `python docs/generate_claims.py`.")


if __name__ == "__main__":
    main()
