"""The dashboards: what is committed is what the generator makes, and asks for metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.monitoring.dashboards.generate import FOLDER, texts
from deploy.monitoring.dashboards.panels import DATASOURCE_UID
from deploy.monitoring.gauges import COUNTERS, GAUGES

ROOT = Path(__file__).parents[2]
DASHBOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
RULES = [
    rule
    for path in sorted((ROOT / "deploy/monitoring/rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DOCUMENTED = set(re.findall(r"`((?:hearth|process)_\w+)`", (ROOT / "docs/metrics.md").read_text("utf-8"))) | {"up"}
EXPRESSIONS = [
    (name, panel["title"], target["expr"])
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
] + [("rules", rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES]


def selectors(expression: promql_parser.Expr) -> Iterator[str]:
    """The names of all series that an expression asks for."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression.name or ""
    elif isinstance(expression, promql_parser.MatrixSelector):
        yield expression.vector_selector.name or ""
    elif isinstance(expression, promql_parser.BinaryExpr):
        yield from selectors(expression.lhs)
        yield from selectors(expression.rhs)
    elif isinstance(expression, promql_parser.Call):
        for argument in expression.args:
            yield from selectors(argument)
    elif isinstance(
        expression, promql_parser.AggregateExpr | promql_parser.ParenExpr | promql_parser.SubqueryExpr | promql_parser.UnaryExpr
    ):
        yield from selectors(expression.expr)


def test_the_committed_json_is_what_the_generator_makes() -> None:
    assert {path.stem: path.read_text("utf-8") for path in FOLDER.glob("*.json")} == texts(), "run `make dashboards`"


@pytest.mark.parametrize(("place", "title", "expression"), EXPRESSIONS)
def test_every_expression_is_read_and_asks_for_documented_metrics(place: str, title: str, expression: str) -> None:
    names = {name.removesuffix("_bucket") if name.startswith("hearth_") else name for name in selectors(promql_parser.parse(expression))}

    assert names, f"{place}: {title}"
    assert names <= DOCUMENTED | RECORDED, f"{place}: {title}"


def test_a_metric_that_nobody_documents_is_noticed() -> None:
    found = set(selectors(promql_parser.parse("sum(rate(hearth_invented_total[5m])) / (1 + -hearth_stream_lag) > bool 2")))

    assert found == {"hearth_invented_total", "hearth_stream_lag"}
    assert not found <= DOCUMENTED | RECORDED


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_dashboard_uses_the_provisioned_source_and_no_panel_lies_over_another(name: str) -> None:
    dashboard = DASHBOARDS[name]
    panels = dashboard["panels"]
    [source] = yaml.safe_load((ROOT / "deploy/monitoring/grafana/datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert source["uid"] == DATASOURCE_UID
    assert {panel["datasource"]["uid"] for panel in panels} == {DATASOURCE_UID}
    assert {panel["type"] for panel in panels} <= {"timeseries", "stat", "table"}, "the page draws no other kind"
    assert len({panel["title"] for panel in panels if panel["type"] == "timeseries"}) == len(
        [p for p in panels if p["type"] == "timeseries"]
    )
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert dashboard["uid"] == f"hearth-{name}"


def test_what_the_exporter_measures_is_documented() -> None:
    assert set(GAUGES) | {f"{name}_total" for name in COUNTERS} <= DOCUMENTED
