"""The limits of a file to score. A small file can hold a large table: blank columns, repeated texts, runs of one value."""

from dataclasses import dataclass

from hearth.errors import InvalidFile

_MAX_PADDING = 1_000_000  # cells; where no row is short, each has a byte of its own


@dataclass(frozen=True)
class FileLimits:
    """What one file may hold, at most: columns, cells (rows x columns), bytes of one row, and bytes of all rows when they are unpacked."""

    columns: int = 1_000
    cells: int = 250_000_000
    row_bytes: int = 1_000_000
    unpacked_bytes: int = 1_000_000_000

    def check_columns(self, columns: int) -> None:
        """Raise InvalidFile if a file has too many columns."""
        if columns > self.columns:
            raise InvalidFile(
                f"The file has {columns} columns, more than the {self.columns} of HEARTH_API_MAX_FILE_COLUMNS: leave out those that are "
                "not scored."
            )

    def check_cells(self, rows: int, columns: int) -> None:
        """Raise InvalidFile if a file has too many cells."""
        if rows * columns > self.cells:
            raise InvalidFile(
                f"The file has more than {self.cells} cells (rows x columns), the limit of HEARTH_API_MAX_FILE_CELLS: send it in parts."
            )

    @staticmethod
    def check_padding(cells: int) -> None:
        """Raise InvalidFile if the rows of a file leave out too many cells, which the answer would have to fill."""
        if cells > _MAX_PADDING:
            raise InvalidFile(
                f"The rows have more than {_MAX_PADDING} cells less than the header: is it the header of another table? Nothing was scored."
            )

    def check_unpacked(self, size: int) -> None:
        """Raise InvalidFile if all rows together have too many bytes."""
        if size > self.unpacked_bytes:
            raise InvalidFile(
                f"The file unpacks to more than {self.unpacked_bytes} bytes, the limit of HEARTH_API_MAX_FILE_BYTES: send it in parts."
            )

    def check_row(self, size: int, where: str) -> None:
        """Raise InvalidFile if a row has too many bytes."""
        if size > self.row_bytes:
            raise InvalidFile(f"{where}: a row has {size} bytes, more than the {self.row_bytes} of HEARTH_API_MAX_ROW_BYTES.")
