"""What the formats share: a file that was found, a piece of it, and how a piece is read or not."""

from __future__ import annotations

from dataclasses import dataclass

#: Records in a batch: small enough to stay in the processor's cache, large enough for Arrow's fixed costs.
BATCH_ROWS = 512
#: Text is about this many times its compressed size (gzip, zstd and bz2 on text: 3 to 6).
COMPRESSED_RATIO = 4


@dataclass(frozen=True)
class SourceFile:
    """One logical file of an input; for Moses, the pair of line-aligned files."""

    uris: tuple[str, ...]  # as the spec names them, after glob expansion; the first is the rows' origin_file
    fingerprint: str  # changes when the content may have changed
    size: int  # bytes on disk
    text_size: int  # bytes of text, estimated where the file is compressed


@dataclass(frozen=True)
class Piece:
    """A file or a range of it. `dataclasses.asdict` gives JSON; `Piece(**that)` gives the piece back.

    `start`, `stop`: byte offsets of the first file for line formats, row groups for Parquet, else the whole file.
    """

    uris: tuple[str, ...]
    fingerprint: str
    start: int = 0
    stop: int | None = None
    starts: tuple[int, ...] = ()  # Moses: where the second file's range starts
    stops: tuple[int, ...] = ()  # and stops; empty: at its end
    first_row: int = 0  # origin_row of its first record
    text_size: int = 0

    def __post_init__(self) -> None:
        for name in ("uris", "starts", "stops"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


def whole(file: SourceFile) -> Piece:
    return Piece(file.uris, file.fingerprint, text_size=file.text_size)
