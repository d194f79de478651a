"""`usersim serve-engine`: become a vLLM server with a store's adapters."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer
from rich.text import Text

from usersim.cli.console import console, notes, open_corpus
from usersim.cli.options import ModelOption
from usersim.config import VllmConfig
from usersim.engines import AdapterRef
from usersim.simulator.adapter_list import ref_of
from usersim.types.counting import counted

__all__ = ["register"]

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": False}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve-engine", context_settings=PASSED_ON)(serve_engine)


def serve_engine(  # noqa: PLR0913, PLR0917 - options of a command
    context: typer.Context,
    corpus: Annotated[
        str | None, typer.Option("--corpus", "-c", help="Store whose adapters are served.")
    ] = None,
    model: ModelOption = "embedded",
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; any but loopback needs a key in USERSIM_API_KEY."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    max_model_len: Annotated[
        int | None, typer.Option(help="Maximum tokens of prompt and answer together.")
    ] = None,
    kv_cache_gib: Annotated[
        float | None, typer.Option(help="Memory for the key-value cache, GiB.")
    ] = None,
    memory_share: Annotated[float, typer.Option(help="Share of the GPU's memory to use.")] = 0.9,
    tensor_parallel: Annotated[
        int, typer.Option(help="Number of GPUs that each layer is split over.")
    ] = 1,
    pipeline_parallel: Annotated[
        int, typer.Option(help="Number of GPU groups that the layers are split over.")
    ] = 1,
    data_parallel: Annotated[int, typer.Option(help="Number of complete copies of the model.")] = 1,
    *,
    load_adapters: Annotated[
        bool, typer.Option(help="Let clients load more adapters from this machine's disk.")
    ] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the vLLM command and exit.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show vLLM's own log.")] = False,
) -> None:
    """Serve a model and a store's adapters through vLLM; what follows `--` goes to vLLM.

    Scores and seeds over HTTP are as exact as in process.
    """
    from usersim.engines.serving import (
        Server,
        check_port,
        server_command,
        server_environment,
        usable_adapters,
    )

    usable, refused = usable_adapters(_adapters(corpus), model)
    for error in refused:
        notes.print(Text(f"skipped: {error}", style="yellow"))
    server = Server(
        model=model,
        adapters=tuple(usable),
        config=VllmConfig(
            max_model_len=max_model_len,
            kv_cache_gib=kv_cache_gib,
            memory_share=memory_share,
            tensor_parallel=tensor_parallel,
            pipeline_parallel=pipeline_parallel,
            quiet=not verbose,
        ),
        host=host,
        port=port,
        data_parallel=data_parallel,
        load_adapters=load_adapters,
        more=tuple(context.args),
    )
    command = server_command(server)
    if show:
        console.print(shlex.join(command), soft_wrap=True, highlight=False, markup=False)
        return
    check_port(server)
    notes.print(
        Text(f"serving {model!r} and {counted(len(usable), 'adapter')}; ready when this answers:")
    )
    notes.print(Text(f"  curl http://{host}:{port}/health"))
    notes.print(Text("connect with"))
    notes.print(Text(f"  --engine remote --base-url http://{host}:{port}/v1"))
    os.execvpe(command[0], command, server_environment(server))  # noqa: S606 - our own command


def _adapters(corpus: str | None) -> list[AdapterRef]:
    if corpus is None:
        return []
    with open_corpus(corpus) as opened:
        return [ref_of(record) for record in opened.ledger.adapters()]
