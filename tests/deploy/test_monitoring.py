"""What the dashboard and the alerts ask for is what the service tells."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service import metrics
from service.app import create_app
from service.errors import ServiceError
from service.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/monitoring"
DASHBOARD = json.loads((FOLDER / "grafana/dashboards/dragoman.json").read_text(encoding="utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PROMTOOL = shutil.which("promtool")

# What Prometheus adds to every series it scrapes, and makes itself.
SCRAPED = {"job", "instance"}
OF_PROMETHEUS = {"up": set(), "ALERTS": {"alertname", "alertstate"}}


def panels() -> list[dict]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> dict[str, str]:
    """Return every expression with what it is for."""
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }
    found |= {
        f"variable {each['name']}": re.sub(r"label_values\((.*), \w+\)", r"\1", each["definition"])
        for each in DASHBOARD["templating"]["list"]
    }
    found |= {each["name"]: each["expr"] for each in DASHBOARD["annotations"]["list"]}
    return found | {rule["alert"]: rule["expr"] for rule in RULES}


QUERIES = queries()


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """Return the labels of every series that can be on `/metrics`, by name."""
    found = dict(OF_PROMETHEUS)
    for metric in vars(metrics).values():
        if hasattr(metric, "_labelnames"):
            for family in metric.describe():
                for end in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(
                    family.type, [""]
                ):
                    extra = {"le"} if end == "_bucket" else set()
                    found[f"{family.name}{end}"] = set(metric._labelnames) | extra
    return found | of_the_process()


def of_the_process() -> dict[str, set[str]]:
    app = create_app(Settings())
    text = TestClient(app).get("/metrics").text  # not entered: no model is loaded for it
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith(("process_", "python_"))
    }


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\b(?:dragoman_\w+|process_\w+|python_\w+|up|ALERTS)\b", query))


def selectors_in(query: str) -> list[tuple[str, set[str]]]:
    """Return each series with the labels that it is chosen by."""
    chosen = re.findall(r"\b([a-zA-Z_:]+)\{([^}]*)\}", query)
    return [(name, set(re.findall(r"(\w+)\s*[=!]~?", labels))) for name, labels in chosen]


def groups_in(query: str) -> set[str]:
    """Return the labels that are kept or matched."""
    lists = re.findall(r"\b(?:by|on|ignoring) \(([^)]*)\)", query)
    return {label.strip() for labels in lists for label in labels.split(",")}


@pytest.mark.parametrize("purpose", QUERIES)
def test_every_series_that_is_queried_exists(purpose, series):
    names = names_in(QUERIES[purpose])

    assert names
    assert names - series.keys() == set()


@pytest.mark.parametrize("purpose", QUERIES)
def test_every_label_that_is_used_exists(purpose, series):
    query = QUERIES[purpose]
    for name, labels in selectors_in(query):
        assert labels - series[name] - SCRAPED == set(), name

    known = set().union(*(series[name] for name in names_in(query)))
    assert groups_in(query) - known - SCRAPED == set()


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_legend_names_labels_that_are_left(panel):
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert named <= groups_in(target["expr"]) | SCRAPED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_grave_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"].endswith(".")


def test_failures_that_are_watched_are_failures_of_the_service():
    def codes(error: type[ServiceError]) -> set[str]:
        return {error.code}.union(*map(codes, error.__subclasses__()))

    (watched,) = re.findall(
        r'code=~"([^"]+)"', next(r["expr"] for r in RULES if "Fails" in r["alert"])
    )

    assert set(watched.split("|")) <= codes(ServiceError)


def test_panels_have_numbers_of_their_own_and_do_not_overlap():
    boxes = [(panel["id"], panel["gridPos"]) for panel in DASHBOARD["panels"]]
    places = [
        (x, y)
        for _, box in boxes
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]

    assert len({number for number, _ in boxes}) == len(boxes)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_every_panel_asks_the_datasource_that_is_provisioned():
    provisioned = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yml").read_text())
    (uid,) = [each["uid"] for each in provisioned["datasources"]]

    asked = re.findall(
        r'"datasource": \{\s*"type": "prometheus",\s*"uid": "([^"]+)"', json.dumps(DASHBOARD)
    )
    assert set(asked) == {uid}


def test_datasource_and_target_are_services_of_the_project():
    compose = yaml.safe_load((ROOT / "deploy/compose.monitoring.yml").read_text(encoding="utf-8"))
    source = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yml").read_text())
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]

    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert {"prometheus", "grafana"} == compose["services"].keys()
    assert scraped[0]["static_configs"][0]["targets"] == ["dragoman:8000"]


needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")


def run_promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROMTOOL), *words], capture_output=True, text=True, check=False, cwd=FOLDER
    )


@needs_promtool
def test_prometheus_takes_its_configuration_and_rules():
    checked = run_promtool("check", "config", "prometheus.yml")

    assert checked.returncode == 0, checked.stderr


@needs_promtool
def test_prometheus_understands_every_query(tmp_path):
    rules = [
        {"record": f"test:query{i}", "expr": query.replace("$__rate_interval", "5m")}
        for i, query in enumerate(QUERIES.values())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    checked = run_promtool("check", "rules", str(path))

    assert checked.returncode == 0, checked.stderr
    assert f"{len(QUERIES)} rules found" in checked.stdout


@needs_promtool
def test_alerts_fire_when_they_should_and_not_before():
    checked = run_promtool("test", "rules", str(Path(__file__).parent / "alerts.test.yml"))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_tried():
    tried = yaml.safe_load((Path(__file__).parent / "alerts.test.yml").read_text(encoding="utf-8"))
    fired = {
        case["alertname"]
        for test in tried["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }

    assert fired == {rule["alert"] for rule in RULES}
