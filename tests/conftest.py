"""What holds for every test: no model hub, no network, no busy waiting."""

from __future__ import annotations

import os

# Read when the libraries are imported, hence before anything else.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
