"""serve for real: what it answers, whom it lets ask, what strangers do to it, how it begins and ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.serving import PATIENCE, Served
from tests.live.test_stuck import a_stuck_process
from tests.unit.serve.certificates import self_signed, signed
from tests.unit.serve.test_auth import hashed, header
from zonerss.kernel.privileges import parse_status
from zonerss.serve.limits import MOST_OF_ONE
from zonerss.serve.needs import KEPT
from zonerss.serve.probe import LIBRARIES

pytestmark = pytest.mark.same_in_container

ZONERSS = [sys.executable, "-m", "zonerss"]
ANYWHERE = ("--listen", "127.0.0.1:0")
OFTEN = ("--interval", "0.2s", "--max-cpu", "400%")
SELDOM = ("--interval", "1h")

REFUSED = (ssl.SSLError, ConnectionError)
"""What a client gets that is not let in."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that has walked once, and listens at three places."""
    path = tmp_path_factory.mktemp("serve") / "a.sock"
    with Served(*ANYWHERE, "--listen", "[::1]:0", "--listen", f"unix:{path}", *SELDOM) as served:
        served.be_ready()
        yield served
        assert served.end() == 0
        assert not path.exists()


def series(text: str, name: str) -> dict[str, float]:
    """The values of a metric by the label zone."""
    found = re.findall(rf'^{name}\{{zone="([^"]*)"\}} (\S+)$', text, re.MULTILINE)
    return {zone: float(value) for zone, value in found}


def test_metrics_and_the_document_are_of_the_same_walk(served):
    document = json.loads(served.ask("/snapshot.json").body)
    text = served.ask("/metrics").text
    assert document["schema"] == "zonerss.snapshot/1"
    for name in ("exclusive", "proportional", "process_rss", "swap", "hugetlb"):
        expected = {zone["zone"]: zone[f"{name}_bytes"] for zone in document["zones"]}
        assert series(text, f"zonerss_zone_{name}_bytes") == expected
    assert "processes" not in document
    page = served.ask("/").text
    assert all(zone["zone"] in page for zone in document["zones"] if zone["zone"].isalnum())


def test_each_address_answers(served):
    first, second, third = served.addresses(3)
    assert first.startswith("127.0.0.1:")
    assert second.startswith("[::1]:")
    assert third.startswith("unix:/")
    assert {served.ask("/-/ready", address).status for address in (first, second, third)} == {200}
    assert os.stat(third.removeprefix("unix:")).st_mode & 0o777 == 0o660


def test_fifty_scrapes_at_once_are_one_walk(served):
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: served.ask("/metrics", Accept_Encoding="gzip"), range(50)))
    texts = [gzip.decompress(reply.body).decode() for reply in replies]
    assert {reply.status for reply in replies} == {200}
    assert {re.findall(r"^zonerss_walk_duration_seconds_count (\S+)$", text, re.M)[0] for text in texts} == {
        "1.0"
    }
    moving = re.compile(r"^zonerss_(?:walk_age|http)_.*$", re.MULTILINE)
    assert len({moving.sub("", text) for text in texts}) == 1


def test_what_is_not_needed_is_given_up(served):
    tasks = list(Path(f"/proc/{served.pid}/task").iterdir())
    assert len(tasks) >= 3  # the event loop, the ticker, the maker of answers
    for task in tasks:
        found = parse_status((task / "status").read_text())
        assert found.effective == found.permitted == set(KEPT)
        assert found.bounding == frozenset()
        assert found.no_new_privs


def test_processes_of_others_are_seen_with_what_is_kept(served):
    other = subprocess.Popen(["sleep", "600"], user=65534)
    try:
        with Served(*ANYWHERE, "--by", "user", *OFTEN) as again:
            again.be_ready()
            document = json.loads(again.ask("/snapshot.json").body)
            assert "65534" in {zone["zone"] for zone in document["zones"]} | {
                zone["id"] or "" for zone in document["zones"]
            }
            assert document["source"] == "pagetable" or document["source"] == "pagemap"
    finally:
        other.kill()
        other.wait()


WITHOUT = """
import json, os, sys
from zonerss.kernel.patience import retire_threads
from zonerss.kernel.privileges import drop_privileges
from zonerss.serve.needs import KEPT
from zonerss.serve.probe import LIBRARIES
from zonerss.snapshot import Session
pid, without = int(sys.argv[1]), sys.argv[2]
with Session("pagemap") as session:
    before = session.take().total.rss_bytes
    retire_threads()
    drop_privileges([name for name in KEPT if name != without])
    snapshot = session.take()
    try:
        namespace = os.readlink(f"/proc/{pid}/ns/ipc")
    except PermissionError:
        namespace = None
    seen = pid in {member.task.pid for member in snapshot.members}
    print(json.dumps([snapshot.total.rss_bytes > before / 2, namespace is not None, seen]))
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", [True, True, True]),
        ("CAP_SYS_ADMIN", [False, True, True]),  # every frame number reads as 0
        ("CAP_SYS_PTRACE", [True, False, True]),
        ("CAP_DAC_READ_SEARCH", [True, True, False]),
    ],
)
def test_each_capability_that_is_kept_is_needed(name, expected):
    assert name in KEPT or name == "none"
    other = subprocess.Popen(["sleep", "600"], user=65534)
    try:
        words = [sys.executable, "-c", WITHOUT, str(other.pid), name]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    finally:
        other.kill()
        other.wait()
    found = json.loads(done.stdout)
    if name == "CAP_SYS_PTRACE":  # newer kernels let CAP_SYS_ADMIN read memory, older ones do not
        found[2] = True
    assert found == expected


def test_strangers_change_nothing(served):
    """Silent ones, dribbling ones, long paths: the next scrape is answered, and nothing is left behind."""
    served.ask("/metrics")
    files, threads = served.files, served.threads
    crowd = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(MOST_OF_ONE + 20)]
    for number, client in enumerate(crowd[:20]):
        client.sendall(b"GET /metrics HTTP/1.1\r\n"[: number + 1])
    for client in crowd[20:25]:
        client.setblocking(False)
        try:
            client.send(b"GET /" + b"a" * 1_000_000)
        except OSError:  # it had to go
            continue
    assert served.ask("/metrics").status == 200
    assert served.files <= files + MOST_OF_ONE + 1
    for client in crowd:
        client.close()
    served.wait(lambda: served.files <= files, "the connections to end")
    assert served.threads <= threads
    assert served.metric('zonerss_http_lost_total{cause="evicted"}') > 0


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A web configuration with TLS, certificates of clients and a password."""
    authority = self_signed(tmp_path, "authority")
    signed(tmp_path, "prometheus", authority, "DNS:prometheus.example")
    signed(tmp_path, "stranger", authority, "DNS:stranger.example")
    self_signed(tmp_path, "server")
    path = tmp_path / "web.yml"
    path.write_text(
        "tls_server_config:\n"
        "  {cert_file: server.crt, key_file: server.key, client_auth_type: RequireAndVerifyClientCert,\n"
        "   client_ca_file: authority.crt, client_allowed_sans: [prometheus.example]}\n"
        f"basic_auth_users: {{alice: '{hashed(b'secret')}'}}\n"
    )
    return path


def trusting(directory: Path, client: str | None) -> ssl.SSLContext:
    """What a client of a certificate trusts: the server's as its file is now."""
    context = ssl.create_default_context(cafile=directory / "server.crt")
    if client:
        context.load_cert_chain(directory / f"{client}.crt", directory / f"{client}.key")
    return context


def test_certificates_and_passwords(web):
    directory, alice = web.parent, header("alice", "secret")
    with Served(*ANYWHERE, "--web.config.file", str(web), *SELDOM) as served:
        ours = trusting(directory, "prometheus")
        silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(10)]
        served.be_ready(tls=ours, Authorization=alice)
        assert served.ask("/metrics", tls=ours).status == 401
        assert served.ask("/metrics", tls=ours, Authorization=header("alice", "x")).status == 401
        for client in ("stranger", None):
            with pytest.raises(REFUSED):
                served.ask("/metrics", tls=trusting(directory, client), Authorization=alice)
        with pytest.raises(REFUSED):
            served.ask("/metrics")

        # A new certificate is used without being told; one that is broken leaves the old in force.
        self_signed(directory, "server")
        new = trusting(directory, "prometheus")
        served.wait(lambda: _answers(served, new, alice), "the new certificate")
        (directory / "server.crt").write_text("broken")
        served.wait(
            lambda: _answers(served, new, alice) and "still used" in served.log, "the broken one to be seen"
        )

        # SIGHUP: an error changes nothing; then the configuration of nobody.
        web.write_text("tls_server_config: {cert_fil: a}\n")
        served.tell(signal.SIGHUP)
        served.wait(lambda: "cert_fil is not known" in served.log, "the error")
        assert served.ask("/metrics", tls=new, Authorization=alice).status == 200
        web.write_text("")
        served.tell(signal.SIGHUP)
        served.wait(lambda: "were read again" in served.log, "the reading")
        assert served.ask("/metrics").status == 200
        for client in silent:
            client.close()
        assert served.end(signal.SIGINT) == 0


def _answers(served: Served, tls: ssl.SSLContext, authorization: str) -> bool:
    try:
        return served.ask("/metrics", tls=tls, Authorization=authorization).status == 200
    except ssl.SSLError:
        return False


def test_a_service_manager_hands_over_a_socket_and_is_told(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        told = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "300000",
            "LISTEN_FDS": "1",
        }
        through = (sys.executable, "-c", AS_ACTIVATED, str(listening.fileno()))
        with Served(*OFTEN, environ=told, through=through, pass_fds=(listening.fileno(),)) as served:
            address = f"127.0.0.1:{listening.getsockname()[1]}"
            assert served.addresses() == [address]
            listening.close()
            assert manager.recv(9999).startswith(b"READY=1\nSTATUS=listening")
            _hear(manager, b"WATCHDOG=1")
            assert b"walked in" in _hear(manager, b"STATUS=")
            served.wait(lambda: served.ask("/-/ready", address).status == 200, "the first walk")
            served.tell(signal.SIGHUP)
            _hear(manager, b"RELOADING=1")
            _hear(manager, b"READY=1")
            served.tell(signal.SIGTERM)
            _hear(manager, b"STOPPING=1")
            assert served.process.wait(PATIENCE) == 0


AS_ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def _hear(manager: socket.socket, begins: bytes) -> bytes:
    """The next message that begins so."""
    while not (message := manager.recv(9999)).startswith(begins):
        continue
    return message


def test_the_end_does_not_wait_for_a_walk(tmp_path):
    with a_stuck_process(tmp_path), Served(*ANYWHERE, *OFTEN, "--patience", "600s") as served:
        served.addresses()
        time.sleep(0.3)  # into the walk that does not end
        assert served.ask("/-/ready").status == 503
        assert served.end() == 0


def test_rules_are_read_again(tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rule]]\nmatch = '^/'\nname = 'before'\n")
    with Served(*ANYWHERE, *OFTEN, "--rules", str(rules)) as served:
        served.be_ready()
        assert 'zone="before' in served.ask("/metrics").text
        rules.write_text("[[rule]]\nmatch = '^/'\nname = 'after'\n")
        served.tell(signal.SIGHUP)
        served.wait(lambda: 'zone="after' in served.ask("/metrics").text, "the new name")
        rules.write_text("[[rule]\n")
        served.tell(signal.SIGHUP)
        served.wait(lambda: "still holds" in served.log, "the error")
        assert served.ask("/metrics").status == 200


def test_a_recording_is_kept_at_the_same_time(tmp_path):
    path = tmp_path / "serve.zrec"
    with Served(*ANYWHERE, *SELDOM, "--record", str(path)) as served:
        served.be_ready()
        document = json.loads(served.ask("/snapshot.json").body)
        assert "not recorded" not in served.log
        assert served.end() == 0
    shown = subprocess.run(
        [*ZONERSS, "show", "--no-config", "--from", str(path), "--json"], capture_output=True, check=True
    )
    kept = json.loads(shown.stdout)
    assert kept["began"] == document["began"]
    rss = [{zone["zone"]: zone["rss_bytes"] for zone in one["zones"]} for one in (kept, document)]
    assert rss[0] == rss[1]


def run(*words: str, **how) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ZONERSS, "serve", "--no-config", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **how,
    )


def test_what_is_wrong_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("--listen", address)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"cannot listen on {address}: another program listens there already" in done.stderr
    done = run("--web.config.file", str(tmp_path / "nowhere.yml"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot read the web configuration" in done.stderr


def without(libraries: Iterable[str], directory: Path) -> dict[str, str]:
    """An environment in which these cannot be imported."""
    for library in libraries:
        (directory / f"{library}.py").write_text(f"raise ModuleNotFoundError('gone', name={library!r})\n")
    return {**os.environ, "PYTHONPATH": str(directory)}


@pytest.mark.parametrize("library", LIBRARIES)
def test_without_a_library_the_extra_is_named(library, tmp_path):
    done = run(env=without([library], tmp_path))
    assert done.returncode == 1
    assert (
        f"zonerss: {library} is missing: install what serve needs, `pip install 'zonerss[serve]'`"
        in done.stderr
    )


def test_without_the_extras_everything_else_works(tmp_path):
    """Each verb that answers at once, a recording and what is asked of it, and a table as CSV."""
    environment, file = without([*LIBRARIES, "duckdb"], tmp_path), str(tmp_path / "a.zrec")

    def asked(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*ZONERSS, *words, "--no-config"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    document = json.loads(asked("--json").stdout)
    zone = document["zones"][0]["zone"]
    verbs = (
        ["ps"],
        ["share"],
        ["files", zone],
        ["whatif", zone],
        ["explain", zone],
        ["frames", str(os.getpid())],
    )
    past = (["show", zone], ["whatif", zone], ["explain", zone], ["share"], ["top", "--batch", "-n", "1"])
    for words in (
        *verbs,
        ["record", "-o", file, "--for", "0.2", "--interval", "0.1"],
        *([*words, "--from", file] for words in past),
        ["report", file],
        ["export", file, "--to", str(tmp_path / "a.csv")],
        ["check"],
    ):
        done = asked(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    done = asked("export", file, "--to", str(tmp_path / "a.parquet"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Parquet needs DuckDB: pip install 'zonerss[export]'" in done.stderr


def test_check_says_what_is_kept():
    done = run("--check", *ANYWHERE)
    assert done.returncode == 0, done.stderr
    for name, why in KEPT.items():
        assert f"{name}: {why}" in done.stdout
    assert "programs that it executes can have: none" in done.stdout
    assert re.search(r"^\d+ of 41 capabilities are given up$", done.stdout, re.MULTILINE)
