from __future__ import annotations

from io import BytesIO

import pytest

from vdr_integrations.index.unfinished.frames import Frame, frame_bytes, read_frames

KEY = b"k" * 32
PARTS = [(b"one", b"", b"three" * 50), (b"", b"x" * 999, b""), (b"a", b"b", b"c")]
FRAMES = [frame_bytes(number, parts, key=KEY) for number, parts in enumerate(PARTS, start=1)]
WHOLE = b"".join(FRAMES)


def found(data: bytes, *, key: bytes = KEY, with_parts: bool = True) -> list[Frame]:
    return list(read_frames(BytesIO(data), key=key, start=0, size=len(data), with_parts=with_parts))


def test_frames_come_back_as_they_were() -> None:
    assert [(one.number, one.parts) for one in found(WHOLE)] == list(enumerate(PARTS, start=1))
    assert found(WHOLE)[-1].end == len(WHOLE)
    assert [one.parts for one in found(WHOLE, with_parts=False)] == [None] * 3


def test_a_torn_tail_ends_the_frames_wherever_it_is_torn() -> None:
    for length in range(len(WHOLE)):
        whole = sum(length >= sum(map(len, FRAMES[:n])) for n in (1, 2, 3))
        frames = found(WHOLE[:length])
        assert [one.parts for one in frames] == PARTS[:whole]
        assert sum(one.parts is not None for one in frames) == whole


def test_no_altered_byte_is_returned() -> None:
    for place in range(len(WHOLE)):
        for bit in (1, 128):
            data = bytearray(WHOLE)
            data[place] ^= bit
            frames = found(bytes(data))
            assert all(one.parts in {None, PARTS[one.number - 1]} for one in frames)
            assert sum(one.parts is not None for one in frames) < 3


def test_a_frame_with_altered_parts_does_not_hide_the_next_one() -> None:
    data = bytearray(WHOLE)
    data[len(FRAMES[0]) + len(FRAMES[1]) - 1] ^= 1
    assert [one.parts for one in found(bytes(data))] == [PARTS[0], None, PARTS[2]]


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"j" * 32])
def test_frames_of_another_key_do_not_count(key: bytes) -> None:
    assert found(WHOLE, key=key) == []
