project = "mulligan"
copyright = "2026, the mulligan authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "mulligan"
exclude_patterns = ["_build"]
