"""A small card in which every text can be chosen."""

from datetime import UTC, datetime

from hearth.cards import Card, Items, Paragraph, Section, Table
from hearth.cards.card import Calibration, DataPart, Duty, FeaturePart, ImportancePart, TrainingPart, Use
from hearth.modelling.comparison import Interval
from hearth.modelling.evaluation import ReliabilityBin
from hearth.modelling.gate import Decision
from hearth.modelling.group_report import ClassFigures, GroupFigure, GroupFigures, GroupGap, GroupReport
from hearth.modelling.slices import Slice, SliceReport

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


def small_card(text: str = "text", dataset: str = "employees", family: str = "knn") -> Card:
    """Return a card all of whose texts are `text`, apart from the names of data set and family."""
    interval = Interval(0.8, 0.7, 0.9)
    figure, unknown = GroupFigure(interval, 200, "measured"), GroupFigure(interval, 20, "cannot tell")
    class_ = ClassFigures(text, figure, figure, unknown, figure, figure)
    return Card(
        dataset=dataset,
        family=family,
        title=text,
        description=text,
        target=text,
        classes=(text, "other"),
        metric="macro_f1",
        level=0.95,
        made=datetime(2026, 11, 29, tzinfo=UTC),
        use=Use(text, (text,), text, text, text),
        data=DataPart(text, text, "file", text, text, 300, 100, {text: 100, "other": 200}, {text: 50, "other": 50}),
        features=(
            FeaturePart(text, text, text, personal=False, sensitive=True, missing_share=0.1, minimum=0.0, mean=1.0, maximum=2.5),
            FeaturePart(text, text, text, personal=False, sensitive=False, missing_share=0.0, shares={text: 0.4, "b": 0.6}),
        ),
        metrics={"macro_f1": interval, text: interval},
        confusion=((40, 10), (5, 45)),
        calibration=Calibration(interval, (ReliabilityBin(0.8, 0.7, 100),)),
        groups=GroupReport(
            0.95,
            100,
            "macro_f1",
            (GroupFigures(text, text, 200, figure, figure, (class_,)),),
            (GroupGap(text, text, "recall", (text, text), unknown),),
            {text: 3},
        ),
        importances=(ImportancePart(text, 0.1, 0.01),),
        slices=SliceReport(100, 15, 50, 9, 0.95, (Slice((text, text), 60, 20, interval, text),)),
        training=TrainingPart({text: text}, {text: text}, 0.8, {text: (0.1, 5)}),
        limits=(text,),
        people=True,
        law=(Duty(text, text, text),),
        libraries={text: text},
        revision=text,
        pictures=("groups.png", "reliability.png"),
        sensitive=(text,),
        more=(Section(text, (Paragraph(text), Items((text,)), Table((text, text), ((text, text),)))),),
        decision=Decision(dataset, family, "1", passed=True, score=0.8, champion=None, reasons=(text,)),
        approval=text,
    )
