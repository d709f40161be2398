"""The sections of a card, in the order in which people read them. A new one is a function in `_SECTIONS`."""

from collections.abc import Callable, Iterator, Mapping

from hearth.cards.blocks import Block, Paragraph, Picture, Section, Table, facts, lines
from hearth.cards.card import Card, FeaturePart
from hearth.cards.law import NO_ADVICE
from hearth.contracts.origins import GENERATED
from hearth.modelling.comparison import Interval
from hearth.modelling.group_report import GroupFigure
from hearth.modelling.standing import Standing

_ORIGINS = {
    "generated": "generated: made-up rows of a demo, not people or things that exist",
    "file": "a file that somebody has uploaded",
    "batches": "batches that came over HTTP",
    "served": "records that were served, with labels that came later",
    "unknown": "unknown",
}
_MOST_CLASSES = 25  # of a confusion matrix as a table
_MOST_SHARES = 8
_CANNOT_TELL = "cannot tell"
_CAPTIONS = {
    "confusion_matrix.png": "Confusion matrix",
    "precision_recall.png": "Precision and recall by class",
    "reliability.png": "Reliability: how often it is right by how sure it says it is",
    "importances.png": "Importance of features: the drop of the metric when the values of a column change places",
    "contributions.png": "Mean contributions of features to the probability of each class",
    "shap_summary.png": "Contributions of features to single records (Shapley values, sampled)",
    "partial_dependence.png": "Partial dependence: mean probabilities while one column changes",
    "groups.png": "Groups of sensitive columns",
    "slices.png": "Where it fails most",
}


def heading(card: Card) -> str:
    """Return the title of a card."""
    number = f", version {card.version}" if card.version else ""
    return f"Model card: {card.dataset}, {card.family}{number}"


def sections(card: Card) -> Iterator[Section]:
    """Return what a card says, without sections that have nothing to say."""
    for title, blocks in _SECTIONS.items():
        if made := tuple(blocks(card)):
            yield Section(title, made)
        if title == _BEFORE_MORE:
            yield from card.more


def number(value: float | None) -> str:
    """Return a number as cards show it."""
    return "" if value is None else f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"  # noqa: PLR2004 - exact in a float


def _summary(card: Card) -> Iterator[Block]:
    yield Paragraph(f"{card.title} {card.description}")
    if card.data.origin == GENERATED:
        yield Paragraph("Made from generated data: its figures say nothing about real rows, and it must not be used for them.")
    score = card.metrics.get(card.metric)
    yield facts(
        ("predicts", f"{card.target}: {', '.join(card.classes)}"),
        ("family", card.family),
        ("version", card.version or "not registered when this was written"),
        ("aliases", ", ".join(card.aliases) or "none"),
        (f"{card.metric} on its own test set", _interval(score) if score else None),
        ("on the present test set", _present(card.standing)),
        ("trained", f"{card.made:%Y-%m-%d %H:%M} UTC"),
    )


def _present(standing: Standing | None) -> str:
    if standing is None:
        return "not computed yet"
    return f"{_interval(standing.score) if standing.score else standing.problem}, data {standing.digest}"


def _use(card: Card) -> Iterator[Block]:
    yield facts(("intended use", card.use.intended_use), ("human oversight", card.use.oversight), ("contact", card.use.contact))
    if card.use.not_for:
        yield Paragraph("Not for:")
    yield lines(card.use.not_for, "What it is not for is not stated: add card.not_for to the contract.")


def _data(card: Card) -> Iterator[Block]:
    data = card.data
    yield facts(
        ("origin", _ORIGINS[data.origin]),
        ("collected", data.collected),
        ("period", data.period),
        ("licence", card.use.licence),
        ("digest", data.digest),
        ("address", data.address),
        ("about people", "yes" if card.people else "no"),
    )
    rows = tuple((label, f"{data.train_classes[label]:,}", f"{data.test_classes[label]:,}") for label in card.classes)
    yield Table(("class", "train rows", "test rows"), (*rows, ("all", f"{data.train_rows:,}", f"{data.test_rows:,}")), 1)


def _features(card: Card) -> Iterator[Block]:
    rows = tuple(
        (part.name, part.description, part.expected, _learnt(part), f"{part.missing_share:.1%}", _marks(part)) for part in card.features
    )
    yield Paragraph("What it has learnt from is what the train set holds; a value outside that range is a guess.")
    yield Table(("column", "meaning", "allowed", "in the train set", "missing", ""), rows)


def _metrics(card: Card) -> Iterator[Block]:
    yield Paragraph(f"On {card.data.test_rows:,} test rows that it was not trained on, with intervals of {card.level:.0%}.")
    rows = tuple((name, f"{interval.figure:.4f}", f"{interval.low:.4f} to {interval.high:.4f}") for name, interval in card.metrics.items())
    yield Table(("metric", "figure", "interval"), rows, 1)
    if len(card.classes) <= _MOST_CLASSES:
        yield Paragraph("Confusion matrix: true classes down, predicted classes across.")
        counts = tuple((label, *map("{:,}".format, row)) for label, row in zip(card.classes, card.confusion, strict=True))
        yield Table(("true class", *card.classes), counts, 1)
    yield from _pictures(card, "confusion_matrix.png", "precision_recall.png")


def _calibration(card: Card) -> Iterator[Block]:
    yield Paragraph(
        f"Expected calibration error {_interval(card.calibration.error)}: the mean distance between how sure it is and how often right."
    )
    rows = tuple((f"{part.confidence:.3f}", f"{part.accuracy:.3f}", f"{part.count:,}") for part in card.calibration.bins)
    yield Table(("mean probability of the predicted class", "share that is right", "rows"), rows, 0)
    yield from _pictures(card, "reliability.png")


def _groups(card: Card) -> Iterator[Block]:
    report = card.groups
    if card.people and not card.sensitive and not report.groups:
        yield Paragraph("No column is named under sensitive in the contract, so no groups are compared.")
    for column in card.sensitive:
        if all(group.column != column for group in report.groups):
            yield Paragraph(f"{column}: the test rows do not have this column, so its groups are not compared.")
    if not report.groups:
        return
    yield Paragraph(
        f"Groups of the columns that the contract calls sensitive, on test rows, with intervals of {report.level:.0%}. "
        f'"{_CANNOT_TELL}" stands where fewer than {report.fewest} rows tell the figure.'
    )
    rows = tuple(
        (
            f"{group.column}: {group.group}",
            class_.label,
            f"{group.rows:,}",
            *(
                _figure_text(figure)
                for figure in (class_.base_rate, class_.selection_rate, class_.recall, class_.precision, class_.calibration_error)
            ),
        )
        for group in report.groups
        for class_ in group.classes
    )
    yield Table(("group", "class", "rows", "base rate", "predicted", "recall", "precision", "calibration error"), rows, 2)
    yield Paragraph("Differences between groups; the intervals hold for all pairs of a column at once.")
    gaps = tuple(
        (f"{gap.column}: {gap.groups[0]} minus {gap.groups[1]}", gap.label, gap.measure.replace("_", " "), _figure_text(gap.figure))
        for gap in report.gaps
    )
    yield Table(("groups", "class", "difference of", "figure"), gaps, 3)
    for column, count in report.left_out.items():
        yield Paragraph(f"{column}: {count} smaller groups are left out.")
    yield from _pictures(card, "groups.png")


def _influence(card: Card) -> Iterator[Block]:
    rows = tuple((part.feature, f"{part.mean:.4f}", f"{part.spread:.4f}") for part in card.importances)
    yield Table(("feature", f"drop of {card.metric} without it", "deviation of three repeats"), rows, 1)
    yield from _pictures(card, "importances.png", "shap_summary.png", "contributions.png", "partial_dependence.png")


def _slices(card: Card) -> Iterator[Block]:
    found = card.slices
    if not found.tested:
        yield Paragraph(f"Too few test rows, or no mistake: no part of them with {found.fewest} rows or more could be tested.")
    elif not found.slices:
        yield Paragraph(
            f"Nothing stands out: none of {found.tested:,} parts of the test rows has more errors than chance puts there "
            f"({found.errors / found.rows:.1%} of all rows are wrong)."
        )
    else:
        yield Paragraph(
            f"Parts of the test rows with more errors than chance puts there; {found.errors / found.rows:.1%} of all rows are wrong. "
            f"{found.tested:,} parts of at least {found.fewest} rows were tested, and the intervals hold for all of them at once."
        )
        rows = tuple((" and ".join(part.conditions), f"{part.rows:,}", _interval(part.error), part.about) for part in found.slices)
        yield Table(("rows with", "rows", "share that is wrong", "most often"), rows)
    yield from _pictures(card, "slices.png")


def _training(card: Card) -> Iterator[Block]:
    training = card.training
    yield Paragraph(f"Parameters were chosen on train rows alone: {card.metric} {training.cv_score:.4f} in cross-validation.")
    if training.fitted_rows is not None:
        sample = ", a sample by a hash of their values" if training.fitted_rows < card.data.train_rows else ""
        yield Paragraph(f"Fitted on {training.fitted_rows:,} of {card.data.train_rows:,} train rows{sample}.")
    settings = {
        **training.search,
        **{f"space of {name}": f"{number(low)} to {number(high)}" for name, (low, high) in training.space.items()},
    }
    yield facts(*settings.items())
    yield Table(("parameter", "value"), tuple(training.params.items()))


def _decision(card: Card) -> Iterator[Block]:
    yield facts(("gate", card.gate), ("approval", card.approval))
    if card.decision:
        yield lines(card.decision.reasons, "The gate gave no reason.")
        bounds = card.decision.verdict.bounds if card.decision.verdict else ()
        if bounds:
            cells = tuple(
                (result.bound, f"{result.limit:g}", _interval(result.interval) if result.interval else "", result.answer, result.about)
                for result in bounds
            )
            yield Table(("bound", "limit", "figure", "answer", "about"), cells)


def _limits(card: Card) -> Iterator[Block]:
    yield lines(card.limits, "No limits are stated.")


def _law(card: Card) -> Iterator[Block]:
    if card.law:
        yield Paragraph(NO_ADVICE)
        yield Table(("where", "what it asks", "here"), tuple((duty.reference, duty.asks, duty.here) for duty in card.law))


def _provenance(card: Card) -> Iterator[Block]:
    yield facts(("git revision", card.revision), ("licence", card.use.licence), *card.libraries.items())


_BEFORE_MORE = "Where it fails most"
_SECTIONS: Mapping[str, Callable[[Card], Iterator[Block]]] = {
    "Summary": _summary,
    "Use": _use,
    "Data": _data,
    "Features": _features,
    "Metrics": _metrics,
    "Calibration": _calibration,
    "Groups": _groups,
    "What it depends on": _influence,
    "Where it fails most": _slices,
    "Limits": _limits,
    "How it was tuned": _training,
    "Decision and approval": _decision,
    "What law asks": _law,
    "Versions of code and libraries": _provenance,
}


def _pictures(card: Card, *names: str) -> Iterator[Picture]:
    for name in names:
        if name in card.pictures:
            yield Picture(name, _CAPTIONS[name])


def _interval(interval: Interval) -> str:
    return f"{interval.figure:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def _figure_text(figure: GroupFigure) -> str:
    interval = figure.interval
    if figure.answer == _CANNOT_TELL:
        return f"{_CANNOT_TELL} ({figure.rows:,} rows)"
    return f"{interval.figure:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _learnt(part: FeaturePart) -> str:
    if part.personal:
        return "personal, not shown"
    if part.shares is not None:
        frequent = sorted(part.shares.items(), key=lambda entry: -entry[1])[:_MOST_SHARES]
        more = f" and {len(part.shares) - len(frequent)} more" if len(part.shares) > len(frequent) else ""
        return ", ".join(f"{name} {share:.1%}" for name, share in frequent) + more
    if part.minimum is None:
        return "no value"
    return f"{number(part.minimum)} to {number(part.maximum)}, mean {number(part.mean)}"


def _marks(part: FeaturePart) -> str:
    return ", ".join(mark for mark, holds in (("personal", part.personal), ("sensitive", part.sensitive)) if holds)
