"""The kinds of panels that the dashboards have; the page's view Monitoring draws each of them too.

A panel has a title, a unit of Grafana's, and queries: the text of the legend, in which `{{label}}` stands for a label, and the expression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE_UID = "hearth-prometheus"  # provisioned: deploy/monitoring/grafana/datasources
_SOURCE = models.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)
_HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8}

Queries = Mapping[str, str]


@dataclass(frozen=True)
class Panel:
    """One panel; `width` is in columns of Grafana's grid, which has 24."""

    kind: Literal["timeseries", "stat", "table"]
    title: str
    unit: str
    queries: Queries
    description: str = ""
    width: int = 12


def lines(title: str, unit: str, queries: Queries, description: str = "", width: int = 12) -> Panel:
    """Return a panel of lines over time."""
    return Panel("timeseries", title, unit, queries, description, width)


def number(title: str, unit: str, query: str, description: str = "", width: int = 6) -> Panel:
    """Return a panel with the present value in large figures."""
    return Panel("stat", title, unit, {"": query}, description, width)


def rows(title: str, unit: str, query: str, description: str = "", width: int = 12) -> Panel:
    """Return a panel with a row for each series."""
    return Panel("table", title, unit, {"": query}, description, width)


def build(uid: str, title: str, description: str, panels: Sequence[Panel]) -> models.Dashboard:
    """Return a dashboard whose panels stand side by side as far as there is room."""
    builder = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["hearth"])
        .readonly()
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
    )
    for place, panel in enumerate(panels, 1):
        builder = builder.with_panel(_PANELS[panel.kind](panel, place))
    return builder.build()


def _targets(panel: Panel) -> list[Builder[Dataquery]]:
    found: list[Builder[Dataquery]] = []
    for letter, (legend, expression) in zip("ABCDEFGH", panel.queries.items(), strict=False):
        query = prometheus.Dataquery().ref_id(letter).datasource(_SOURCE).expr(expression).legend_format(legend or "__auto")
        if panel.kind == "table":
            query = query.format(PromQueryFormat.TABLE)
        found.append(query.range() if panel.kind == "timeseries" else query.instant())
    if len(found) != len(panel.queries):
        raise ValueError(f"{panel.title} has more than eight queries.")
    return found


def _timeseries(panel: Panel, place: int) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)  # noqa: FBT003 - their interface
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    built = timeseries.Panel().id(place).title(panel.title).datasource(_SOURCE).unit(panel.unit).description(panel.description).min(0)
    built = built.legend(legend).tooltip(tooltip).fill_opacity(8).span(panel.width).height(_HEIGHTS[panel.kind])
    return built.targets(_targets(panel))


def _stat(panel: Panel, place: int) -> stat.Panel:
    built = stat.Panel().id(place).title(panel.title).datasource(_SOURCE).unit(panel.unit).description(panel.description)
    built = built.graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.NONE).span(panel.width).height(_HEIGHTS[panel.kind])
    return built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).targets(_targets(panel))


def _table(panel: Panel, place: int) -> table.Panel:
    built = table.Panel().id(place).title(panel.title).datasource(_SOURCE).unit(panel.unit).description(panel.description)
    hide = models.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True, "__name__": True}})
    built = built.span(panel.width).height(_HEIGHTS[panel.kind]).with_transformation(hide)
    return built.targets(_targets(panel))


_PANELS = {"timeseries": _timeseries, "stat": _stat, "table": _table}
