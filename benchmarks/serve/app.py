"""Recommendations over HTTP from an index: FastAPI, numpy and numba; neither PyTorch nor pandas is loaded.

    RECQ_INDEX=shop.index uvicorn --app-dir benchmarks/serve app:app

    GET /recommend?user=ann&user=bob&k=5    [{"user": "ann", "items": ["tea", …], "scores": [3.1, …]}, …]
    GET /health                             {"index": "Index(1 bit, …)"}

The index is mapped: with `--workers 4` four processes share its memory. An index that `recq export` writes over the old one is taken in at
the next start; who has the old one keeps it until then.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request

from recq_lib.codes.index import Index
from recq_lib.errors import DataError


@asynccontextmanager
async def with_index(app: FastAPI) -> AsyncIterator[None]:
    app.state.index = Index.load(os.environ["RECQ_INDEX"])
    app.state.index.search([0], k=1)  # kernels are compiled, or read from their cache, before the first request
    yield


app = FastAPI(lifespan=with_index)


@app.get("/health")
def health(request: Request) -> dict[str, str]:
    return {"index": repr(request.app.state.index)}


@app.get("/recommend")
def recommend(
    request: Request,
    user: Annotated[list[str], Query(min_length=1, max_length=1000)],
    k: Annotated[int, Query(ge=1, le=1000)] = 10,
    seen: bool = False,
) -> list[dict]:
    try:
        items, scores = request.app.state.index.recommend(user, k, seen=seen)
    except DataError as error:
        raise HTTPException(status_code=404, detail=str(error)) from error
    return [{"user": u, "items": its.tolist(), "scores": its_scores.tolist()} for u, its, its_scores in zip(user, items, scores)]
