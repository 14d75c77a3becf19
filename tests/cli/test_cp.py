"""`dap cp` at the demo, whose containers are directories of this machine."""

import json
import os

import pytest
from support.repeated import again


def test_there_and_back(called, at, tmp_path):
    origin = tmp_path / "x"
    (origin / "sub").mkdir(parents=True)
    (origin / "sub" / "f").write_bytes(os.urandom(300_000))
    (origin / "link").symlink_to("sub/f")
    (origin / "out").symlink_to("/etc")
    out = called("cp", str(origin), "web-0:copy", env=at)
    assert (out.code, out.out) == (1, b"")
    assert out.err == "dap: not copied: out: the link leads out of what is copied, to /etc\n"
    back = called("cp", "deploy/api:nothing", str(tmp_path / "y"), env=at)
    assert (back.code, back.err) == (1, "dap: deploy/api:nothing: no such file or directory\n")
    back = called("cp", "web-0:copy", str(tmp_path / "y"), "--json", env=at)
    row = json.loads(back.out)
    assert (back.code, back.err, row["files"], row["bytes"], row["unverified"]) == (0, "", 1, 300_000, 0)
    assert (tmp_path / "y" / "link").read_bytes() == (origin / "sub" / "f").read_bytes()
    one = called("cp", "web-0:copy/sub/f", str(tmp_path), env=at)
    assert (one.code, one.out, one.err) == (0, b"", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("a b", 2, "one of the two is in a pod"), again("web-0:a web-0:b", 2, "one of the two is in a pod"),
        ("web-0: b", 2, "name a path behind the colon"), again("Web:a b", 2, "is not a pod name"),
        ("./no:where web-0:a", 1, "no:where: No such file or directory"), ("web-0:a /no/where/b", 1, "no such file or directory"),
        ("web-9:a b", 125, 'pods "web-9" not found'), ("distroless-0:a b", 1, "distroless-0 has no sh, without which nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_copied_is_said_in_a_sentence(called, at, words, code, said):
    done = called("cp", *words.split(), env=at)
    assert (done.code, done.out, done.err.count("\n")) == (code, b"", 1)
    assert said in done.err
