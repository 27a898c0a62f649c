"""The example of `benchmarks/serve`, as it is meant to be run: a uvicorn of its own on 127.0.0.1, asked over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from index_samples import small_index

ROOT = Path(__file__).resolve().parents[1]
SERVER = """
import sys, uvicorn
uvicorn.run("app:app", app_dir=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
print(sorted({"torch", "pandas"} & set(sys.modules)))
"""


def get(port: int, path: str, **query):
    url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query, doseq=True)}"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until_it_answers(server: subprocess.Popen, port: int) -> None:
    for _ in range(1200):
        if server.poll() is not None:
            pytest.fail(f"the server ended: {server.communicate()[1]}")
        try:
            assert get(port, "/health")[0] == 200
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail("the server does not answer")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(port, the index that is served); at the end the server must have loaded neither PyTorch nor pandas."""
    index = small_index()
    path = index.save(tmp_path_factory.mktemp("serve") / "shop.index")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"RECQ_INDEX": str(path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SERVER, str(ROOT / "benchmarks" / "serve"), str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until_it_answers(server, port)
        yield port, index
        server.send_signal(2)
        out, err = server.communicate(timeout=60)
        assert out.strip().splitlines()[-1] == "[]", err
    finally:
        server.kill()
        server.communicate()


def test_recommendations_are_those_of_the_index(served):
    port, index = served
    users = ["李雷", "ann ", "zoë", ""]
    for settings in ({}, {"k": 70}, {"k": 3, "seen": True}):
        items, scores = index.recommend(users, **settings)
        expected = [{"user": u, "items": i.tolist(), "scores": s.tolist()} for u, i, s in zip(users, items, scores, strict=True)]
        assert get(port, "/recommend", user=users, **settings) == (200, expected)


def test_wrong_requests_are_told(served):
    port, _ = served
    status, answer = get(port, "/recommend", user="nobody")
    assert status == 404 and answer["detail"].startswith("user 'nobody' is not among the 6 users")
    for query in ({}, {"user": "ann", "k": 0}, {"user": "ann", "k": "many"}, {"user": ["ann"] * 1001}):
        assert get(port, "/recommend", **query)[0] == 422


def test_health_tells_what_is_served(served):
    port, index = served
    assert get(port, "/health") == (200, {"index": repr(index)})
