"""Reports: one self-contained HTML page per study or run, its numbers as CSV, its core as Markdown.

A page needs no network and no script: figures are inline SVG, styles inline CSS, and all text goes through autoescape.
"""
