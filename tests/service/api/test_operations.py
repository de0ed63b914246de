import pytest


def test_probes_are_content_when_all_is_well(client):
    assert client.get("/livez").json() == {"status": "alive", "reasons": []}
    assert client.get("/readyz").json() == {"status": "ready", "reasons": []}


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probe_is_200_when_all_is_well(client, path):
    assert client.get(path).status_code == 200


def test_dead_thread_is_not_alive(client, models):
    models.is_alive = False

    answer = client.get("/livez")

    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["a decoding thread has died"]


def test_model_that_is_not_ready_is_told(client, models):
    models.is_ready = False

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["a model is not ready"]


def test_closed_intake_is_alive_but_not_ready(app, client):
    app.state.intake.close()

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json()["reasons"] == ["the service is shutting down"]


def test_requests_are_counted_by_route_and_kind_of_status(client):
    series = 'dragoman_request_seconds_count{route="/v1/languages",status="2xx"}'
    before = number(client, series)

    client.get("/v1/languages")

    assert number(client, series) == before + 1


def test_refusals_are_counted_by_code(client):
    series = 'dragoman_refused_total{code="unsupported_pair"}'
    before = number(client, series)

    client.post("/v1/translate", json={"text": "a", "source": "xx", "target": "en"})

    assert number(client, series) == before + 1


def test_path_that_nobody_serves_is_no_label(client):
    client.get("/made-up-path")

    assert "made-up-path" not in client.get("/metrics").text


def number(client, series: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(series)]
    return float(lines[0].split()[-1]) if lines else 0.0
