"""MLflow's user interface on the imported runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmark.publishing.mlflow import store
from benchmark.publishing.mlflow.store import artifact_root, sqlite_uri
from benchmark.training.processes import import_variables, stop_on_sigterm
from envs.errors import UserError

POLL_SECONDS = 0.2
# Charts of training runs, instead of the view for agents and language models that MLflow opens with.
VIEW_QUERY = f"workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={store.VIEW}"


def serve_ui(database: Path, port: int, announce: Callable[[dict[str, str]], None]) -> None:
    """Serve MLflow's interface on the local machine until this process is stopped.

    Once it serves, ``announce`` is called with the address of each experiment's runs.

    Raises:
        UserError: If there is no usable database, the port is taken, or the server stops by itself.
    """
    links = ui_links(database, port)
    # MLflow's background jobs take a process each and are of no use for runs.
    variables = {**os.environ, **import_variables(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        stop_on_sigterm(),
        subprocess.Popen(ui_command(database, port), env=variables, stdout=sys.__stderr__) as server,
    ):
        try:
            while server.poll() is None and not answers(port):
                time.sleep(POLL_SECONDS)
            if server.poll() is None:
                announce(links)
            code = server.wait()
        finally:
            server.terminate()
    raise UserError(f"MLflow's server stopped with exit code {code}; see its output above")


def ui_links(database: Path, port: int) -> dict[str, str]:
    """Where MLflow's interface shows the runs, by experiment.

    Raises:
        UserError: If there is no usable database, or the port is taken.
    """
    database = database.resolve()
    if not database.is_file():
        raise UserError(f"no MLflow database at {database}: import the runs first, with `acrl track`")
    if answers(port):
        # The server would raise a traceback.
        raise UserError(f"port {port} is in use: choose another with --port")
    with store.one_line_errors(f"the MLflow database {database}", store.HINTS):
        store.check_database(database)
        experiments = store.connect(sqlite_uri(database)).search_experiments(filter_string="name LIKE 'acrl/%'")
    return {
        experiment.name: f"http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs?{VIEW_QUERY}"
        for experiment in sorted(experiments, key=lambda experiment: experiment.name)
    }


def answers(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ui_command(database: Path, port: int) -> list[str]:
    """The command that serves the interface."""
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    roots = ["--backend-store-uri", sqlite_uri(database), "--default-artifact-root", artifact_root(database).as_uri()]
    return command + roots
