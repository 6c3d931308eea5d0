from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdr_integrations.errors import IndexFormatError, MissingExtraError
from vdr_integrations.index.late_interaction.compression import Compression
from vdr_integrations.index.late_interaction.edge_messages import receive, send
from vdr_integrations.index.late_interaction.engine import Point, Recall, Schema
from vdr_integrations.index.late_interaction.filters import Condition, Where

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


def sent(message: object) -> Any:
    pipe = io.BytesIO()
    send(pipe, message)
    pipe.seek(0)
    found = receive(pipe)
    assert pipe.read() == b""
    return found


@given(json_like)
def test_what_is_sent_arrives_with_tuples_and_keys_as_they_were(message: object) -> None:
    assert sent(message) == message


def test_classes_and_arrays_arrive() -> None:
    where = Where.equal(kind="page") & Where(((Condition("n", ranges=((("gte", 1.0),),)),),))
    schema = Schema(128, None, Compression(token_pooling=3))
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    point = Point("id", {"tuple": [1, {"dict": "x"}]}, {"tokens": rows, "half": rows.astype("f2")})
    recall = Recall("pooled", np.empty((0, 3), np.float32), 5)
    found_where, found_schema, (found,), found_recall = sent((where, schema, [point], recall))
    assert (found_where, found_schema) == (where, schema)
    assert (found.id, found.payload) == (point.id, point.payload)
    assert {n: (v.dtype, v.tolist()) for n, v in found.vectors.items()} == {
        n: (v.dtype, v.tolist()) for n, v in point.vectors.items()
    }
    assert found_recall.vector.shape == (0, 3)


@pytest.mark.parametrize(
    "error",
    [IndexFormatError("broken"), MissingExtraError(package="p", extra="x", purpose="this")],
)
def test_errors_arrive_as_what_they_are(error: Exception) -> None:
    found = sent(error)
    assert type(found) is type(error)
    assert str(found) == str(error)


@pytest.mark.parametrize("message", [object(), {1, 2}, np.zeros(2), b"bytes"])
def test_anything_else_is_not_sent(message: object) -> None:
    with pytest.raises(TypeError, match="does not go"):
        sent(message)


def test_a_message_that_ends_half_way_is_an_end() -> None:
    pipe = io.BytesIO()
    send(pipe, [np.ones(100, np.float32)])
    whole = pipe.getvalue()
    for length in (0, 4, 12, len(whole) - 1):
        with pytest.raises(EOFError):
            receive(io.BytesIO(whole[:length]))
