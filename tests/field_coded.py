"""H.264 in which the two fields of every picture are coded apart, as no encoder here does it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK, GREY = 16, bytes([128]) * 128
HEADERS, FIRST, LATER = (0x67, 0x68), 0x65, 0x61


class Unit:
    """One unit of the stream, bit by bit (ITU-T H.264, 7.3)."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def number(self, *values: int, bits: int = 1) -> Unit:
        for value in values:
            self.bits += [value >> place & 1 for place in reversed(range(bits))]
        return self

    def golomb(self, *values: int) -> Unit:
        for value in values:
            length = (value + 1).bit_length()
            self.number(0, bits=length - 1).number(value + 1, bits=length)
        return self

    def samples(self, raw: bytes) -> Unit:
        self.bits += [0] * (-len(self.bits) % 8)
        self.bits += np.unpackbits(np.frombuffer(raw, np.uint8)).tolist()
        return self

    def close(self, kind: int) -> bytes:
        """Behind a start code, with a third byte wherever two zeros would look like one."""
        body = np.packbits([*self.bits, 1]).tobytes()
        escaped, zeros = bytearray(), 0
        for byte in body:
            if zeros >= 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([kind]) + bytes(escaped)


def field_coded(pictures: npt.NDArray[np.uint8], gop: int = 8) -> bytes:
    """Grey pictures (T, H, W), H a multiple of 32 and W of 16: top field first, all as samples.

    The first field of a group stands alone, all others are P-fields with a reference.
    """
    height, width = pictures.shape[1:]
    rows, columns = height // 2 // BLOCK, width // BLOCK
    sequence = Unit().number(77, 0, 30, bits=8).golomb(0, 4, 0, 4, 2).number(0)
    sequence.golomb(columns - 1, rows - 1).number(0, 0, 1, 0, 0)
    stream = [sequence.close(HEADERS[0])]
    picture = Unit().golomb(0, 0).number(0, 0).golomb(0, 0, 0).number(0, 0, 0).golomb(0, 0, 0)
    stream.append(picture.number(0, 0, 0).close(HEADERS[1]))
    for number, frame in enumerate(pictures):
        place = number % gop
        for bottom in (0, 1):
            alone = place == 0 and not bottom
            field = Unit().golomb(0, 7 if alone else 5, 0).number(place, bits=8).number(1, bottom)
            field.golomb(*[number // gop % 2] * alone).number(2 * place + bottom, bits=8)
            if alone:
                field.number(0, 0)
            else:
                field.number(1).golomb(0).number(0, 0)
            field.golomb(0)
            for y in range(0, height // 2, BLOCK):
                for x in range(0, width, BLOCK):
                    block = frame[bottom::2][y : y + BLOCK, x : x + BLOCK]
                    field.golomb(*([25] if alone else [0, 30])).samples(block.tobytes() + GREY)
            stream.append(field.close(FIRST if alone else LATER))
    return b"".join(stream)
