"""The compose file of three nodes: nothing here can start it, so its options are checked."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSED = yaml.safe_load((ROOT / "docs" / "qdrant-cluster.yaml").read_text("utf-8"))
NODES = COMPOSED["services"]

# From the compose specification, and from config/config.yaml and src/main.rs of Qdrant.
SERVICE_KEYS = {"image", "restart", "environment", "command", "depends_on", "ports", "volumes"}
SETTINGS = {"cluster": {"enabled", "p2p.port"}, "service": {"http_port"}}
FLAGS = {"--uri", "--bootstrap"}


def test_there_are_three_nodes_that_only_this_machine_reaches() -> None:
    assert set(COMPOSED) == {"x-node", "services", "volumes"}
    assert set(NODES) == set(COMPOSED["volumes"]) == {"qdrant-1", "qdrant-2", "qdrant-3"}
    ports = [port for node in NODES.values() for port in node["ports"]]
    assert len(set(ports)) == 3
    assert all(port.startswith("127.0.0.1:") and port.endswith(":6333") for port in ports)


@pytest.mark.parametrize("name", NODES)
def test_the_options_of_a_node_exist(name: str) -> None:
    node = NODES[name]
    assert set(node) <= SERVICE_KEYS
    for variable, value in node["environment"].items():
        prefix, section, *path = variable.lower().split("__")
        assert (prefix, ".".join(path) in SETTINGS[section]) == ("qdrant", True)
        assert isinstance(value, str)
    program, *flags = shlex.split(node["command"])
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    assert program == "./qdrant"
    assert set(given) <= FLAGS
    port = node["environment"]["QDRANT__CLUSTER__P2P__PORT"]
    assert given["--uri"] == f"http://{name}:{port}"
    is_first = name == "qdrant-1"
    assert given.get("--bootstrap") == (None if is_first else f"http://qdrant-1:{port}")
    assert node.get("depends_on", []) == ([] if is_first else ["qdrant-1"])
    assert node["volumes"] == [f"{name}:/qdrant/storage"]
