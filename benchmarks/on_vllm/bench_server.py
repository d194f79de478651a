"""The endpoint over vLLM: requests a second through it, against the engine called directly.

`benchmarks/bench_server.py` with a real model; its options hold here too. Wanted: a ratio of 0.9.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench_server import main

if __name__ == "__main__":
    main(["--engine", "vllm", "--requests", "128", "--rounds", "3", *sys.argv[1:]])
