"""Write the dashboards as JSON, as Grafana reads them: `make dashboards`."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.monitoring.dashboards import models, pipeline, serving, stack, stream

FOLDER = Path(__file__).parent / "json"
DASHBOARDS = {
    "serving": serving.DASHBOARD,
    "stream": stream.DASHBOARD,
    "models": models.DASHBOARD,
    "pipeline": pipeline.DASHBOARD,
    "stack": stack.DASHBOARD,
}


def texts() -> dict[str, str]:
    """Return the JSON of each dashboard, by the name of its file."""
    return {name: JSONEncoder(sort_keys=True, indent=1).encode(dashboard) + "\n" for name, dashboard in DASHBOARDS.items()}


def main() -> None:
    for name, text in texts().items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
