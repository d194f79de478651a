"""An engine behind a server: requests, limits, and what the server can do."""
