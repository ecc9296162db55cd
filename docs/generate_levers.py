"""Write docs/levers.md from the cards in the lever files; with --check, say whether it is up to date."""

import sys
from pathlib import Path

from mulligan.lever_card import find_cards
from mulligan.lever_place import cards_as_markdown

PAGE = Path(__file__).parent / "levers.md"


def main() -> None:
    """Write the page, or exit with 1 when it differs from what would be written."""
    text = cards_as_markdown(find_cards())
    if "--check" not in sys.argv:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        sys.exit("docs/levers.md differs from the lever files; run `python docs/generate_levers.py`.")


if __name__ == "__main__":
    main()
