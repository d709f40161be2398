"""What a training says of a version's probabilities: metrics of its sets, and a section of its card."""

from hearth.cards.blocks import Block, Paragraph, Section, Table
from hearth.contracts import Contract
from hearth.contracts.names import class_metric_names
from hearth.modelling.evaluation import Evaluation
from hearth.modelling.trust import Trust
from hearth.training.calibrating import Tried


def set_metrics(contract: Contract, trust: Trust, evaluation: Evaluation) -> dict[str, float]:
    """Return the mean size of the sets of the test rows, and the share that holds the true class: of all rows, and of those of a class."""
    if trust.sets is None:
        return {}
    covered = trust.sets.cover(evaluation.truth, evaluation.probabilities)
    by_class = {
        f"set_coverage_{name}": float(covered[evaluation.truth == code].mean())
        for code, name in enumerate(class_metric_names(contract.target.classes))
        if (evaluation.truth == code).any()
    }
    size = trust.sets.members(evaluation.probabilities).sum(axis=1).mean()
    return {"set_coverage": float(covered.mean()), "set_size": float(size), **by_class}


def describe_probabilities(contract: Contract, calibration: Tried, trust: Trust, evaluation: Evaluation) -> Section:
    """Return a section about calibration, sets of classes and unusual records."""
    how = "The model's own probabilities are kept" if calibration.method is None else f"Probabilities are calibrated by {calibration.name}"
    blocks: list[Block] = [
        Paragraph(
            f"{how}; on train rows that models were not fitted on, the log loss is {calibration.log_loss:.4f} and the calibration error "
            f"{calibration.calibration_error:.4f}."
        )
    ]
    if trust.sets is not None:
        metrics = set_metrics(contract, trust, evaluation)
        names = class_metric_names(contract.target.classes)
        rows = [("all", f"{metrics['set_coverage']:.3f}")]
        rows += [
            (label, f"{metrics[f'set_coverage_{name}']:.3f}" if f"set_coverage_{name}" in metrics else "no test row")
            for label, name in zip(contract.target.classes, names, strict=True)
        ]
        blocks.append(
            Paragraph(
                f"On request an answer has a set of classes, which should hold the true one for {trust.sets.level:.0%} of the records of "
                f"each class. On the test rows it has {metrics['set_size']:.2f} classes in the mean, and holds the true one in:"
            )
        )
        blocks.append(Table(("rows of class", "share"), tuple(rows), numbers_from=1))
    if trust.unusual is not None:
        blocks.append(
            Paragraph(
                f"A record is called unusual if it is less like the {trust.unusual.rows:,} train rows than nearly all of these are like "
                "each other when they are held out. What the version says of such a record rests on little."
            )
        )
    return Section("Probabilities, sets of classes, unusual records", tuple(blocks))
