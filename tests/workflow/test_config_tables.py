"""The tables of config/README.md, and the page's other lists, are those of the schema and the package."""

import re
import runpy
from dataclasses import fields
from pathlib import Path

from skydenoise.image_table import ListedImage

CONFIG = Path(__file__).parents[2] / "config"
README = (CONFIG / "README.md").read_text()


def test_the_tables_are_made_from_the_schema_as_it_is() -> None:
    assert runpy.run_path(str(CONFIG / "tables.py"))["readme"]() == README, "make config/README.md"


def test_every_column_of_the_table_of_images_is_explained() -> None:
    text = README[README.index("## Images of other surveys") : README.index("## Every key")]
    explained = re.findall(r"^`(\w+)` \|", text, re.MULTILINE)
    assert explained == [field.name for field in fields(ListedImage)]
