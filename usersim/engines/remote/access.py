"""Where a server is and with which key it is asked; knows no HTTP.

No secret leaves this module but as a return value: not in an error, not in a log.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from usersim.config import RemoteConfig
from usersim.errors import ConfigError, boundary

__all__ = ["check_address", "key_in"]


_FORM = "write it as http://HOST:PORT/v1"


def check_address(config: RemoteConfig) -> None:
    """Refuse an address that is none, or that would bring a secret into logs and errors.

    Raises:
        ConfigError: Without showing a secret.
    """
    with boundary(ConfigError, "reading base_url", hint=_FORM):
        address = urlsplit(config.base_url)
        port = address.port
    if address.username or address.password:
        raise ConfigError(
            "base_url contains a user name or password, which would appear in logs and errors",
            hint=f"set the server's key in the environment variable {config.api_key_variable}",
        )
    if address.scheme not in {"http", "https"} or not address.hostname or port == 0:
        raise ConfigError(f"base_url {config.base_url!r} is not a valid URL", hint=_FORM)


def key_in(variable: str) -> str:
    """Return the key in an environment variable; empty if there is none.

    Raises:
        ConfigError: If no header can carry it; without showing it.
    """
    key = os.environ.get(variable, "").strip()  # a line break often comes with it from a file
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the key in {variable} contains characters that are not allowed in a header",
            hint="remove line breaks and invisible characters",
        )
    return key
