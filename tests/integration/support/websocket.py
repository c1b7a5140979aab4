"""RFC 6455 frames, written and read for the tests alone: nothing here is shared with the tool."""

import base64
import dataclasses
import hashlib
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(key):
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _KEY_SUFFIX).encode()).digest()).decode()


def masked(payload, mask):
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return number.to_bytes(len(payload), "big")


def length_field(size, width=None):
    """The 7-bit field and what extends it; `width` 0, 2 or 8 forces a form that need not fit."""
    if width is None:
        width = 0 if size < 126 else 2 if size < 65536 else 8
    if width == 0:
        return size, b""
    return (126, struct.pack("!H", size)) if width == 2 else (127, struct.pack("!Q", size))


def frame(opcode, payload=b"", fin=True, rsv=0, mask=None, width=None, size=None):
    """One frame, legal or not. `size` announces another length than the payload's."""
    short, extended = length_field(len(payload) if size is None else size, width)
    head = bytes([(0x80 if fin else 0) | (rsv << 4) | opcode, (0x80 if mask else 0) | short])
    return head + extended + (mask + masked(payload, mask) if mask else payload)


def fragments(opcode, payload, piece):
    """A message in pieces of `piece` bytes, the last one with FIN."""
    starts = range(0, len(payload), piece)
    return b"".join(
        frame(
            opcode if start == 0 else CONTINUATION,
            payload[start : start + piece],
            fin=start + piece >= len(payload),
        )
        for start in starts
    )


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame as a client sent it."""

    fin: bool
    rsv: int
    opcode: int
    mask: bytes  # empty: the frame was not masked
    payload: bytes  # unmasked
    raw: bytes

    @property
    def close_code(self):
        assert self.opcode == CLOSE, f"a close frame was expected, not {self}"
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None


def parse_frame(data):
    """The first frame of `data` as (frame, bytes used), or None while it is not whole."""
    if len(data) < 2:
        return None
    short, offset = data[1] & 0x7F, 2
    width = {126: 2, 127: 8}.get(short, 0)
    if len(data) < offset + width:
        return None
    size = int.from_bytes(data[offset : offset + width], "big") if width else short
    assert length_field(size) == (short, data[offset : offset + width]), "length not minimal"
    offset += width
    mask = b""
    if data[1] & 0x80:
        mask = bytes(data[offset : offset + 4])
        offset += 4
    end = offset + size
    if len(data) < end:
        return None
    payload = bytes(data[offset:end])
    return (
        Frame(
            fin=bool(data[0] & 0x80),
            rsv=data[0] >> 4 & 0x7,
            opcode=data[0] & 0xF,
            mask=mask,
            payload=masked(payload, mask) if mask else payload,
            raw=bytes(data[:end]),
        ),
        end,
    )
