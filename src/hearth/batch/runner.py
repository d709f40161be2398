"""A batch: objects are scored one after the other, chunk by chunk, and what is done is not done again.

A chunk's results are written first, then its line of the manifest. A run that is killed in between writes the same bytes again.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from hearth.batch.chunk import Parts, ScoredChunk, score_chunk
from hearth.batch.manifest import REJECTED, SAMPLE, SCORED, ChunkLine, Manifest, ObjectLine
from hearth.batch.model import BatchModel
from hearth.batch.objects import SourceObject
from hearth.batch.output import Output
from hearth.batch.readers import open_table
from hearth.batch.results import add_counts, as_csv, as_parquet, require_free, scored_table
from hearth.batch.sample import Sampler, write_drawn
from hearth.batch.summary import FILE_NAME, Summary
from hearth.contracts import Contract
from hearth.contracts.texts import listed
from hearth.errors import IncompleteScoring, ObjectChanged, ObjectNotFound
from hearth.predictions import Prediction
from hearth.tables import Place, UnreadableTable

CHUNK_ROWS = 50_000
_FORM = 1  # of results: results of another form are made anew
_ID_LENGTH = 16
_UNREADABLE = (UnreadableTable, ObjectChanged, ObjectNotFound)
_LOGGER = logging.getLogger(__name__)

OnStep = Callable[["Step"], None]
Record = Callable[[Sequence[Prediction]], None]
Log = Callable[[Summary], str]


@dataclass(frozen=True)
class Step:
    """Rows of an object that are scored: a chunk, or, where that is not `is_new`, all that an earlier run did. `is_end` with its last."""

    source: SourceObject
    rows: int
    rejected: int
    is_new: bool
    is_end: bool = False


@dataclass(frozen=True)
class Batch:
    """Objects to score, by which version, and where to.

    `keep` names columns that go along, `sampler` draws the records that count for drift.
    """

    contract: Contract
    model: BatchModel
    objects: Sequence[SourceObject]
    output: Output
    sampler: Sampler
    parts: Parts = field(default_factory=Parts)
    keep: Sequence[str] = ()
    chunk_rows: int = CHUNK_ROWS

    def __post_init__(self) -> None:
        """Raise NotKept or InvalidScoring if the version or the options cannot do what is to be done."""
        self.parts.require_kept(self.model)
        require_free(self.contract, self.parts, self.keep)

    @property
    def include(self) -> list[str]:
        """The names of the parts."""
        parts = {"set": self.parts.set, "unusual": self.parts.unusual, "explain": self.parts.explain is not None}
        return [name for name, is_wanted in parts.items() if is_wanted]

    @cached_property
    def key(self) -> str:
        """What results depend on beside the objects: version, options, and the contract's rules."""
        features = {name: column.model_dump(mode="json") for name, column in self.contract.feature_columns.items()}
        words = self.contract.file_format.model_dump(mode="json")
        model = (self.model.dataset, self.model.version, self.model.run_id)
        return _digest([_FORM, model, features, words, self.include, list(self.keep), self.chunk_rows])

    @cached_property
    def id(self) -> str:
        return _digest([self.key, [(each.name, each.identity) for each in self.objects]])

    def share(self, number: int, of: int) -> Sequence[SourceObject]:
        """Return the objects of one of several workers, about equal in bytes."""
        loads = [0] * of
        mine = []
        for each in sorted(self.objects, key=lambda each: (-each.size, each.name)):
            worker = loads.index(min(loads))
            loads[worker] += each.size + 1
            if worker == number:
                mine.append(each)
        return mine


def score_objects(batch: Batch, objects: Sequence[SourceObject] | None = None, on_step: OnStep = lambda _: None) -> None:
    """Score objects of a batch, all by default. One that cannot be read does not stop the others: `finish` says which.

    Raises:
        StorageError: the object store does not answer, or refuses; what is done stays done.
    """
    for source in batch.objects if objects is None else objects:
        _score_object(batch, source, on_step)


def finish(batch: Batch, record: Record = lambda _: None, log: Log = lambda _: "") -> Summary:
    """Write the summary of a batch whose objects were scored, after its sample is stored and its run logged; once.

    Args:
        batch: It.
        record: Stores the sample; storing it twice must do no harm.
        log: Logs the summary, and returns the id of a run.

    Raises:
        IncompleteScoring: objects are not scored, because nobody has tried.
    """
    lines = [(source, _manifest(batch, source).done()) for source in batch.objects]
    if missing := [source.name for source, line in lines if line is None]:
        raise IncompleteScoring(f"{len(missing)} of {len(lines)} objects were not scored yet: {listed(missing)}. Run again.")
    summary = _summary(batch, [line for _, line in lines if line is not None])
    before = Summary.from_json(batch.output.read(FILE_NAME))
    drawn = sorted(batch.output.names(f"{SAMPLE}/"))
    if before and before.id == summary.id and before.problems == summary.problems and not drawn:
        return before
    sample = batch.sampler.collect(batch.output, drawn, summary.id, datetime.now(UTC))
    if sample:
        record(sample)
    summary = replace(summary, sampled=len(sample))
    summary = replace(summary, run_id=log(summary))
    batch.output.write(FILE_NAME, summary.to_json())
    for name in drawn:
        batch.output.delete(name)
    return summary


def require_complete(summary: Summary) -> None:
    """Raise IncompleteScoring if objects of a batch could not be read."""
    if summary.problems:
        reasons = "; ".join(f"{name}: {problem}" for name, problem in list(summary.problems.items())[:5])
        more = f" (and {len(summary.problems) - 5} more, see {summary.output}/{FILE_NAME})" if len(summary.problems) > 5 else ""  # noqa: PLR2004
        raise IncompleteScoring(f"{len(summary.problems)} of {summary.objects} objects could not be read: {reasons}{more}")


def _score_object(batch: Batch, source: SourceObject, on_step: OnStep) -> None:
    manifest = _manifest(batch, source)
    done = manifest.done()
    if done is not None and not done.problem:
        on_step(Step(source, done.rows, done.rows - done.scored, is_new=False, is_end=True))
        return
    if done is None:
        batch.output.delete(FILE_NAME)  # as long as it is there, all is done
    lines = list(manifest.chunks())
    if lines:
        on_step(Step(source, sum(line.rows for line in lines), sum(line.rejected for line in lines), is_new=False))
    problem, understood = "", ""
    started = time.perf_counter()
    try:
        with open_table(source, batch.contract, batch.keep) as table:
            understood = table.understood
            for raw in table.chunks(batch.chunk_rows, lines[-1].end if lines else None):
                batch.output.delete(FILE_NAME)
                chunk = score_chunk(batch.contract, batch.model, raw, batch.parts)
                line = _write(batch, source, manifest, len(lines), chunk, raw.end, started)
                lines.append(line)
                on_step(Step(source, line.rows, line.rejected, is_new=True))
                started = time.perf_counter()
    except _UNREADABLE as error:
        problem = str(error)
        _LOGGER.error("%s: %s", source.address, problem)  # noqa: TRY400 - the message says all
    labels: dict[str, int] = {}
    for line in lines:
        add_counts(labels, line.labels)
    result = ObjectLine(
        key=batch.key,
        object=source.name,
        identity=source.identity,
        chunks=len(lines),
        rows=sum(line.rows for line in lines),
        scored=sum(line.scored for line in lines),
        labels=labels,
        understood=understood,
        seconds=sum(line.seconds for line in lines),
        problem=problem,
    )
    if result != done:
        manifest.write_object(result)
    on_step(Step(source, 0, 0, is_new=False, is_end=True))


def _write(  # noqa: PLR0913, PLR0917 - a chunk, and where it belongs
    batch: Batch, source: SourceObject, manifest: Manifest, number: int, chunk: ScoredChunk, end: Place, started: float
) -> ChunkLine:
    """Write the results of a chunk, and then its line."""
    part, rejects = (manifest.chunk_file(kind, number, suffix) for kind, suffix in ((SCORED, "parquet"), (REJECTED, "csv")))
    content = as_parquet(scored_table(batch.contract, batch.model.version, chunk)) if len(chunk.lines) else b""
    rejected = as_csv(source.name, chunk.rejections) if len(chunk.rejections) else b""
    drawn = batch.sampler.draw(source.name, batch.model, chunk, datetime.now(UTC)) if batch.sampler.records else []
    sample = write_drawn(drawn) if drawn else b""
    for name, what in ((part, content), (rejects, rejected), (manifest.chunk_file(SAMPLE, number, "json"), sample)):
        if what:
            batch.output.write(name, what)
        else:
            batch.output.delete(name)  # of an earlier form of the object
    line = ChunkLine(
        key=batch.key,
        object=source.name,
        identity=source.identity,
        chunk=number,
        rows=chunk.rows,
        scored=len(chunk.lines),
        labels=chunk.labels,
        end=end,
        part=part if content else None,
        part_sha256=hashlib.sha256(content).hexdigest() if content else "",
        rejects=rejects if rejected else None,
        seconds=round(time.perf_counter() - started, 3),
    )
    manifest.write_chunk(line)
    return line


def _manifest(batch: Batch, source: SourceObject) -> Manifest:
    return Manifest(batch.output, batch.key, source.name, source.identity)


def _summary(batch: Batch, lines: Sequence[ObjectLine]) -> Summary:
    labels = dict.fromkeys(batch.contract.target.classes, 0)
    for line in lines:
        add_counts(labels, line.labels)
    rows, scored, seconds = (sum(getattr(line, name) for line in lines) for name in ("rows", "scored", "seconds"))
    return Summary(
        id=batch.id,
        dataset=batch.contract.name,
        alias=batch.model.alias,
        version=batch.model.version,
        family=batch.model.family,
        output=batch.output.address,
        objects=len(lines),
        chunks=sum(line.chunks for line in lines),
        rows=rows,
        scored=scored,
        rejected=rows - scored,
        labels=labels,
        seconds=round(seconds, 3),
        rows_per_second=round(rows / seconds, 1) if seconds else 0.0,
        include=batch.include,
        keep=list(batch.keep),
        problems={line.object: line.problem for line in lines if line.problem},
        understood={line.object: line.understood for line in lines[:100] if line.understood},
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_ID_LENGTH]
