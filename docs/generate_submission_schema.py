"""Write src/mulligan/submit/schema.json from the models of `mulligan.submit.submission`."""

from pathlib import Path

from mulligan.submit.submission import SCHEMA, schema_text

if __name__ == "__main__":
    (Path(__file__).parents[1] / "src" / "mulligan" / "submit" / SCHEMA).write_text(schema_text(), "utf-8")
