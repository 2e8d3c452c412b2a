"""A user's own task, whose data are in a file that may change."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from archsearch.tasks.xml import Xml

DATA = "ARCHSEARCH_TEST_DATA"


@dataclass(frozen=True)
class OwnTask(Xml):
    """XML, with a file of data in its identity."""

    def content_digest(self) -> str:
        """Identifies what is in the file."""
        return super().content_digest() + hashlib.sha256(Path(os.environ[DATA]).read_bytes()).hexdigest()[:8]
