"""The endpoint: simulated people behind OpenAI's chat API, each one a model id.

    HTTP -> guard -> routes -> asked (a request, read) -> answering (batches, live streams)
                                 |- roles, schema           |- the simulator's asker, the engine
         <- replies, refusals <---------------------------- |

Stands above the simulator; knows FastAPI and uvicorn, and loads them when a server is made.
"""

from usersim.config import ServerConfig
from usersim.server.app import KEY_VARIABLE, create_app, key_from_environment, serve, serving

__all__ = [
    "KEY_VARIABLE",
    "ServerConfig",
    "create_app",
    "key_from_environment",
    "serve",
    "serving",
]
