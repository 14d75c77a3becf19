"""In whose name the cluster is asked."""

from gateway.backends.kube import kubectl
from gateway.protocol.actor import Actor
from gateway.protocol.target import Command, Target

ANN = Actor("ann", ("dev", "ops"))


def test_headers_and_flags_say_the_same():
    assert ANN.headers == (
        ("Impersonate-User", "ann"), ("Impersonate-Group", "dev"), ("Impersonate-Group", "ops"),
    )  # fmt: skip
    assert ANN.flags == ("--as=ann", "--as-group=dev", "--as-group=ops")


def test_kubectl_asks_as_the_actor():
    argv = kubectl.argv(
        Target("default", "a", "b"), Command(("id",), stdout=True, actor=ANN), ("kubectl", "--context", "x")
    )
    assert argv[:7] == ("kubectl", "--context", "x", *ANN.flags, "exec")
