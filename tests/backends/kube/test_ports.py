"""Which port of a pod is meant, as kubectl finds it."""

import pytest

from gateway.backends.kube.ports import pod_port, service_port
from gateway.errors import Refused

POD = {
    "metadata": {"name": "web-0"},
    "spec": {
        "containers": [
            {"ports": [{"name": "http", "containerPort": 8099}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}]},
            {"ports": [{"containerPort": 54, "protocol": "UDP"}, {"containerPort": 54, "protocol": "TCP"}]},
            {},
        ]
    },
}  # fmt: skip


def service(*rows, ip="10.0.0.1"):
    return {"metadata": {"name": "web"}, "spec": {"clusterIP": ip, "ports": list(rows)}}


@pytest.mark.parametrize(
    ("port", "number"), [("80", 80), ("8099", 8099), ("http", 8099), ("54", 54), ("65535", 65535)]
)
def test_a_pods_port_is_a_number_or_a_containers_name(port, number):
    assert pod_port(POD, port) == number


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("https", "pod web-0 has no port called 'https': it has http .8099., dns .53."), ("53", "UDP"), ("dns", "UDP"),
        ("0", "is no port"), ("65536", "is no port"), ("9" * 5000, "is no port"), ("", "no port called"),
        ("\x1b[31m", "no port called"),
    ],
)  # fmt: skip
def test_what_a_pod_has_not_is_refused_with_what_it_has(port, said):
    with pytest.raises(Refused, match=said) as refused:
        pod_port(POD, port)
    assert refused.value.code == "port_not_found"


@pytest.mark.parametrize(
    ("row", "port", "number"),
    [
        ({"port": 80, "targetPort": 8080}, "80", 8080), ({"port": 80, "targetPort": "http"}, "80", 8099),
        ({"port": 80, "name": "web", "targetPort": "http"}, "web", 8099), ({"port": 80}, "80", 80),
        ({"port": 80, "targetPort": 0}, "80", 80),
    ],
)  # fmt: skip
def test_a_services_port_leads_to_its_pods(row, port, number):
    assert service_port(service({"port": 1}, row), POD, port) == number


def test_a_headless_service_leads_nowhere():
    assert service_port(service({"port": 81, "targetPort": 8080}, ip="None"), POD, "81") == 81


@pytest.mark.parametrize(
    ("rows", "port", "said"),
    [
        ([{"port": 80, "name": "web"}], "81", "service web has no port 81: it has 80 .web."), ([], "80", "it has none"),
        ([{"port": 53, "protocol": "UDP"}], "53", "port 53 of service web is UDP"),
        ([{"port": 80, "targetPort": "gone"}], "80", "no port called 'gone'"),
    ],
)  # fmt: skip
def test_what_a_service_has_not_is_refused(rows, port, said):
    with pytest.raises(Refused, match=said):
        service_port(service(*rows), POD, port)
