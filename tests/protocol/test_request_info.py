"""What a request of the Kubernetes API asks for: the API server's own cases, and paths that two readers take differently."""

import pytest

from gateway.protocol.errors import BadRequest
from gateway.protocol.request_info import RequestInfo, request_info


def asked(method, path, query=""):
    found = request_info(method, path, query)
    return found.verb, found.group, found.version, found.namespace, found.kind, found.name


# from k8s.io/apiserver pkg/endpoints/request/requestinfo_test.go, TestGetAPIRequestInfo
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "")),
        ("GET", "/api/v1/namespaces/other", ("get", "", "v1", "other", "namespaces", "other")),
        ("GET", "/api/v1/namespaces/other/pods", ("list", "", "v1", "other", "pods", "")),
        ("GET", "/api/v1/namespaces/other/pods/foo", ("get", "", "v1", "other", "pods", "foo")),
        ("HEAD", "/api/v1/namespaces/other/pods/foo", ("get", "", "v1", "other", "pods", "foo")),
        ("GET", "/api/v1/pods", ("list", "", "v1", "", "pods", "")),
        ("HEAD", "/api/v1/pods", ("list", "", "v1", "", "pods", "")),
        ("GET", "/api/v1/nodes/n", ("get", "", "v1", "", "nodes", "n")),
        ("GET", "/api/v1/watch/pods", ("watch", "", "v1", "", "pods", "")),
        ("GET", "/api/v1/watch/namespaces/other/pods", ("watch", "", "v1", "other", "pods", "")),
        ("GET", "/api/v1/proxy/namespaces/other/pods/foo", ("proxy", "", "v1", "other", "pods", "foo")),
        ("GET", "/api/v1/namespaces/other/pods/foo/status", ("get", "", "v1", "other", "pods/status", "foo")),
        ("GET", "/api/v1/namespaces/other/pods/foo/log", ("get", "", "v1", "other", "pods/log", "foo")),
        (
            "PUT",
            "/api/v1/namespaces/other/finalize",
            ("update", "", "v1", "other", "namespaces/finalize", "other"),
        ),
        ("PATCH", "/api/v1/namespaces/other/pods/foo", ("patch", "", "v1", "other", "pods", "foo")),
        ("DELETE", "/api/v1/namespaces/other/pods/foo", ("delete", "", "v1", "other", "pods", "foo")),
        ("DELETE", "/api/v1/namespaces/other/pods", ("deletecollection", "", "v1", "other", "pods", "")),
        ("POST", "/api/v1/namespaces/other/pods", ("create", "", "v1", "other", "pods", "")),
        (
            "POST",
            "/apis/batch/v1/namespaces/other/jobs",
            ("create", "batch", "v1", "other", "jobs", ""),
        ),
        ("GET", "/apis/apps/v1/deployments", ("list", "apps", "v1", "", "deployments", "")),
    ],
)
def test_resources(method, path, expected):
    assert asked(method, path) == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("part", ["exec", "attach", "portforward", "proxy"])
def test_streams_are_verbs_of_their_own_whatever_the_method(method, part):
    assert asked(method, f"/api/v1/namespaces/a/pods/p/{part}")[0] == part
    assert asked(method, f"/api/v1/nodes/n/{part}/run/a/p/c")[0] == part


def test_an_encoded_letter_is_the_letter():
    assert asked("GET", "/api/v1/namespaces/a/pods/p/%65xec") == ("exec", "", "v1", "a", "pods/exec", "p")
    assert request_info("GET", "/api/v1/namespaces/a/pods/p/%65xec").path.endswith("/exec")


@pytest.mark.parametrize(
    ("query", "verb", "name"),
    [
        ("", "list", ""),
        ("watch=true", "watch", ""),
        ("watch=1&limit=3", "watch", ""),
        ("watch=", "watch", ""),
        ("watch=false", "list", ""),
        ("watch=0", "list", ""),
        ("watch=f", "watch", ""),
        ("fieldSelector=metadata.name%3Dx&watch=true", "watch", "x"),
        ("fieldSelector=metadata.name=x,status.phase=Running", "list", ""),
    ],
)
def test_a_get_without_a_name(query, verb, name):
    found = request_info("GET", "/api/v1/pods", query)

    assert (found.verb, found.name) == (verb, name)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/apis",
        "/apis/apps",
        "/apis/apps/v1",
        "/api/v1",
        "/version",
        "/openapi/v3/apis/apps/v1",
    ],
)
def test_what_is_about_no_object(path):
    found = request_info("GET", path)

    assert found == RequestInfo("get", path)


@pytest.mark.parametrize(
    "path",
    [
        "api/v1", "/api/../x", "/api/./v1", "/api//v1", "//api", "/api/v1/pods%2fx", "/api/v1/%2e%2e/x",
        "/api/v1/pods;x", "/api/v1/a%5cb", "/api/v1/a\\b", "/api/v1/%zz", "/api/v1/%", "/api/v1/a%00b",
        "/api/v1/a%0ab", "/api/v1/%ff", "/api/v1/a b", "http://x/api", "/api/v1/proxy", "/api/" + "v" * 9000, "/api//",
    ],
)  # fmt: skip
def test_paths_that_are_refused(path):
    with pytest.raises(BadRequest):
        request_info("GET", path)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
def test_methods_that_are_refused(method):
    with pytest.raises(BadRequest, match=method):
        request_info(method, "/api")
