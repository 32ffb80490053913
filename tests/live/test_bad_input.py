"""Wrong usage, missing privilege and hostile names, through the command line as people meet it.

A failure is one line on stderr that says what to do, exit status 1 (could not) or 2 (wrong usage), nothing on
stdout and never a traceback.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.measure import Zone
from tests.oracle import PAGE
from tests.own import NAME
from zonerss.errors import CannotServe
from zonerss.snapshot import Session

PROJECT = Path(__file__).parents[2]
ZONERSS = (sys.executable, "-m", "zonerss")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def without(capability: str) -> tuple[str, ...]:
    """Run as root who lacks a capability."""
    return ("setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}")


def run(*arguments: str, prefix: Sequence[str] = (), **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*prefix, *ZONERSS, *arguments], cwd=PROJECT, capture_output=True, check=False, **options
    )


def assert_refused(result: subprocess.CompletedProcess, status: int) -> str:
    """One line on stderr, nothing on stdout; the line."""
    text = result.stderr.decode()
    assert result.stdout == b""
    assert "Traceback" not in text
    assert result.returncode == status, text
    assert len(text.splitlines()) == 1, text
    assert text.endswith("\n")
    return text


# ---- privilege ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["show", "ps", "frames"])
def test_not_root(verb):
    probe = [*NOBODY, sys.executable, "-c", "import zonerss"]
    if subprocess.run(probe, cwd=PROJECT, capture_output=True, check=False).returncode:
        needs.skip("needs_readable_checkout")
    arguments = [str(os.getpid())] if verb == "frames" else []
    assert "root" in assert_refused(run(verb, *arguments, prefix=NOBODY), 1)


@pytest.mark.parametrize("verb", ["show", "ps", "frames"])
def test_root_who_may_not_see_frames(verb):
    """Without CAP_SYS_ADMIN frame numbers read as 0, with no error: that must be one of ours."""
    arguments = [str(os.getpid())] if verb == "frames" else []
    result = run(verb, *arguments, prefix=without("sys_admin"))
    assert "CAP_SYS_ADMIN" in assert_refused(result, 1)


REFUSING = """
import os
for pid in filter(str.isdecimal, os.listdir("/proc")):
    try:
        open(f"/proc/{pid}/maps", "rb").read(1)
    except PermissionError:
        print(pid)
    except OSError:
        pass
"""


def refusing(prefix: Sequence[str]) -> set[int]:
    """Processes whose memory may not be read by who runs so."""
    result = subprocess.run([*prefix, sys.executable, "-c", REFUSING], capture_output=True, check=True)
    return {int(word) for word in result.stdout.split()}


def test_root_who_may_not_read_everybody(make_zone):
    """Without CAP_SYS_PTRACE, most kernels refuse processes with more capabilities than the reader's own.

    From 2025 on kernels let whoever has CAP_SYS_ADMIN read, and only few processes refuse, or none.
    """
    make_zone("capable").spawn().map("anon 1009")
    prefix = without("sys_ptrace")
    expected = refusing(prefix)
    result = run("--by", "cgroup", "--json", prefix=prefix)
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    gaps = json.loads(result.stdout)["gaps"]
    # A silent loss would be a zone that seems to be empty, and no word about it.
    assert {gap["pid"] for gap in gaps if gap["cause"] == "refused"} == expected
    table = run("--by", "cgroup", prefix=prefix)
    assert (b"may not be read" in table.stdout + table.stderr) == bool(expected)


@pytest.mark.parametrize("files", [5, 7, 9, 10, 11, 12, 13, 14, 16])
def test_too_few_files_may_be_open(make_zone, files):
    """Nothing is printed rather than an empty table, or one of the processes that could just be read."""
    make_zone("busy").spawn().map("anon 1009")
    result = run("--by", "cgroup", "--json", prefix=("prlimit", f"--nofile={files}"))
    if result.returncode:
        assert "ulimit -n" in assert_refused(result, 1)
        return
    # How many it takes depends on the kernel. If these were enough, they were for everybody.
    assert files > 9
    gaps = json.loads(result.stdout)["gaps"]
    assert {gap["pid"] for gap in gaps if gap["cause"] == "refused"} == refusing(())
    # Processes come and go; none is unreadable for want of a file.
    assert {gap["cause"] for gap in gaps} <= {"refused", "exited", "began", "exec", "moved", "reused"}


def test_too_little_memory():
    assert "not enough memory" in assert_refused(
        run("--by", "cgroup", prefix=("prlimit", "--as=60000000")), 1
    )


# ---- usage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--by", "nonsense"),
        ("--by", "depth=x"),
        ("--by", "depth=-1"),
        ("--by", ""),
        ("--source", "nonsense"),
        ("--basis", "nonsense"),
        ("--sort", "nonsense"),
        ("--limit", "0"),
        ("--limit", "many"),
        ("--rules", "/nonexistent"),
        ("--nonsense",),
        ("shwo",),
        ("ps", "--by", "nonsense"),
        ("ps", "--sort", "nonsense"),
        ("--sort", "-nonsense"),
        ("-o", "rss,nonsense"),
        ("-o", "+"),
        ("ps", "-o", "nonsense"),
        ("files", "-o", "nonsense"),
        ("files", "--sort", "nonsense"),
        ("--json", "--tsv"),
        ("--tree", "--tsv"),
        ("--tsv", "--by", "zone", "--by", "user"),
        ("whatif",),
        ("help", "nonsense"),
        ("--config", "/nonexistent"),
        ("--config",),
        ("frames",),
        ("frames", "nonsense"),
        ("frames", "-1"),
        ("frames", "99999999999999999999"),
        ("--zone",),
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments):
    assert_refused(run(*arguments), 2)


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_an_unknown_zone(json_option):
    line = assert_refused(run("--zone", "no such zone", *json_option), 1)
    assert "no such zone" in line


@pytest.mark.parametrize(
    "arguments", [("-o", "exlcusive"), ("--sort", "exlcusive"), ("ps", "--sort", "-exlcusive")]
)
def test_an_unknown_column_gets_the_nearest_and_all(arguments):
    line = assert_refused(run(*arguments), 2)
    assert "there is no column 'exlcusive'; did you mean exclusive?" in line
    assert "proportional" in line


def test_what_is_neither_verb_nor_zone():
    line = assert_refused(run("shwo"), 2)
    assert "did you mean `zonerss show`" in line
    assert "no-such-thing" in assert_refused(run("no-such-thing"), 1)


def test_a_zone_by_a_short_name(make_zone):
    """One that only one zone has will do; of two both are named."""
    one, other = make_zone("pair.service"), make_zone("pair.scope")
    for zone in (one, other):
        zone.spawn()
    for words in (["show"], ["ps"], ["whatif"], ["files"], ["explain"]):
        line = assert_refused(run(*words, "pair", "--by", "cgroup"), 2)
        assert one.name in line
        assert other.name in line
    result = run("show", "pair.scope", "--by", "cgroup", "--json")
    assert [zone["zone"] for zone in json.loads(result.stdout)["zones"]] == [other.name], result.stderr
    result = run("whatif", "pair.scope", "--by", "cgroup", one.name, "--json")
    assert json.loads(result.stdout)["without"] == [other.name, one.name], result.stderr
    result = run("files", "pair.scope", "--by", "cgroup", "--json")
    assert json.loads(result.stdout)["zone"] == other.name, result.stderr


def test_processes_by_pid_and_by_zone(make_zone):
    zone = make_zone("few")
    pids = {zone.spawn().pid, zone.spawn().pid}
    result = run("ps", str(os.getpid()), "--by", "cgroup", "few", "--json")
    found = {process["pid"] for process in json.loads(result.stdout)["processes"]}
    assert found == {os.getpid(), *pids}, result.stderr
    child = subprocess.Popen(["true"])
    child.wait()
    assert f"process {child.pid} is not among those" in assert_refused(run("ps", str(child.pid)), 1)
    assert "is not a process id" in assert_refused(run("ps", "99999999999999999999"), 2)


def test_command_lines(make_zone):
    zone = make_zone("lines")
    mem, other = zone.spawn(), zone.spawn()
    line = Path(f"/proc/{mem.pid}/cmdline").read_bytes()
    expected = line.decode().removesuffix("\0").split("\0")
    document = json.loads(run("ps", "--args", "--json", str(mem.pid)).stdout)
    assert [process["args"] for process in document["processes"]] == [expected]
    document = json.loads(run(zone.name, "--by", "cgroup", "--json").stdout)
    lines = {process["pid"]: process["args"] for process in document["zones"][0]["largest_processes"]}
    assert lines == {mem.pid: expected, other.pid: expected}
    assert " ".join(expected) in run("ps", "--tsv", "-o", "args", str(mem.pid)).stdout.decode().splitlines()


# ---- configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("by = 'user'\nby =", "2:5"),
        ("by = 'user'\n[show]\nsotr = 'rss'\n", "3:1"),
        ("by = 'user'\n[shwo]\n", "2:2"),
        ("by = 'user'\n\n[show]\n  limit = 'many'\n", "4:3"),
    ],
)
def test_a_configuration_with_an_error(tmp_path, text, where):
    """Its place is said, and nothing of it is used: there is no table by user."""
    file = tmp_path / "zonerss.toml"
    file.write_text(text)
    assert f"{file}:{where}: " in assert_refused(run("--config", str(file)), 2)
    result = run("check", "--config", str(file))
    assert result.returncode == 1
    assert f"{file}:{where}: ".encode() in result.stdout
    result = run("--config", str(file), "--no-config", "--json")
    assert json.loads(result.stdout)["by"] == "zone", result.stderr


IN_ITS_PLACE = "mount --bind '{etc}' /etc && exec env -u ZONERSS_CONFIG '{python}' -m zonerss {words}"


def run_configured(etc: Path, words: str) -> subprocess.CompletedProcess:
    """With a directory in the place of /etc, in a mount namespace of its own."""
    command = IN_ITS_PLACE.format(etc=etc, python=sys.executable, words=words)
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", command], cwd=PROJECT, capture_output=True, check=False
    )


@pytest.fixture
def etc() -> Iterator[Path]:
    """Stands for /etc; of root's, and on the way to it nobody else can write."""
    directory = Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir="/run"))
    directory.chmod(0o755)
    (directory / "zonerss/rules.d").mkdir(parents=True)
    yield directory
    shutil.rmtree(directory)


def test_the_configuration_of_the_machine(make_zone, etc):
    zone = make_zone("configured")
    zone.spawn()
    (etc / "zonerss/rules.d/ours.toml").write_text(f"[[rule]]\nmatch = '^{zone.name}$'\nname = 'ours'\n")
    (etc / "zonerss/zonerss.toml").write_text("[show]\nzone = 'ours'\n")
    result = run_configured(etc, "--json")
    if b"mount" in result.stderr:
        needs.skip("needs_mount", result.stderr.decode())
    assert [zone["zone"] for zone in json.loads(result.stdout)["zones"]] == ["ours"], result.stderr
    told = run_configured(etc, "check").stdout.decode()
    assert "show: zone = 'ours' (/etc/zonerss/zonerss.toml:2)" in told
    assert "1 rules (/etc/zonerss/rules.d/ours.toml)" in told
    assert "zones" in json.loads(run_configured(etc, "--no-config --json").stdout)


@pytest.mark.parametrize("place", ["zonerss", "zonerss/zonerss.toml", "zonerss/rules.d/ours.toml"])
def test_a_configuration_that_others_can_write(etc, place):
    (etc / "zonerss/zonerss.toml").write_text("by = 'user'\n")
    (etc / "zonerss/rules.d/ours.toml").write_text("")
    os.chown(etc / place, 65534, 65534)
    result = run_configured(etc, "--json")
    if b"mount" in result.stderr:
        needs.skip("needs_mount", result.stderr.decode())
    assert f"/etc/{place} belongs to the user 65534" in assert_refused(result, 2)
    os.chown(etc / place, 0, 0)
    (etc / place).chmod(0o777)
    assert f"/etc/{place} can be written to by everybody" in assert_refused(run_configured(etc, ""), 2)


def test_a_process_that_is_not_there():
    child = subprocess.Popen(["true"])
    child.wait()
    assert str(child.pid) in assert_refused(run("frames", str(child.pid)), 1)


def test_a_zone_name_of_hostile_bytes_does_not_reach_the_terminal():
    line = assert_refused(run("--zone", "\x1b[31mred\nline\udcff"), 1)
    assert "\x1b" not in line


# ---- hostile names ---------------------------------------------------------------------------------------

HOSTILE = b"\r\x1b[31m\xff\xfe\t\"\\'\x7f\xe2\x80\xae"


def assert_printable(output: bytes) -> str:
    text = output.decode("utf-8", "strict")
    bad = {character for character in text if not character.isprintable()} - {"\n"}
    assert not bad, f"raw in the output: {bad}"
    return text


@pytest.fixture
def hostile_zone(make_zone) -> Zone:
    """A cgroup, a process and a file of names that would harm a terminal, a table or a parser."""
    zone = make_zone(os.fsdecode(HOSTILE))
    mem = zone.spawn()
    mem.tell("name " + (b"a\nb" + HOSTILE[:12]).hex())
    return zone


def test_hostile_names_in_the_table_of_zones(hostile_zone):
    result = run("--by", "cgroup")
    assert result.returncode == 0, result.stderr
    lines = assert_printable(result.stdout).splitlines()
    assert sum(f"{hostile_zone.path.parent.name}/" in line and "[31m" in line for line in lines) == 1


def test_hostile_names_in_the_table_of_processes(hostile_zone):
    result = run("ps")
    assert result.returncode == 0, result.stderr
    lines = assert_printable(result.stdout).splitlines()
    assert sum(str(hostile_zone.mems[0].pid) in line.split() for line in lines) == 1
    assert not [line for line in lines if line.startswith("b")]


def test_hostile_names_as_groups(hostile_zone):
    result = run("--by", "command")
    assert result.returncode == 0, result.stderr
    assert_printable(result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tsv", "--by", "cgroup", "-o", "+kind,cgroup"),
        ("ps", "--tsv", "--args"),
        ("ps", "-o", "pid,args"),
        ("files", "--tsv"),
    ],
    ids=" ".join,
)
def test_hostile_names_in_rows_for_programs(hostile_zone, arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    lines = assert_printable(result.stdout.replace(b"\t", b"")).splitlines()
    assert len(lines) > 1
    if "--tsv" in arguments:
        assert len({line.count(b"\t") for line in result.stdout.splitlines()}) == 1


@pytest.mark.parametrize("arguments", [("--by", "cgroup"), ("--by", "command"), ("ps",)], ids=" ".join)
def test_hostile_names_in_json(hostile_zone, arguments):
    result = run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    json.loads(assert_printable(result.stdout))


def test_a_hostile_zone_can_be_named_by_what_json_calls_it(hostile_zone):
    document = json.loads(run("--by", "cgroup", "--json").stdout)
    ours = f"{hostile_zone.path.parent.name}/"
    (name,) = (zone["zone"] for zone in document["zones"] if "[31m" in zone["zone"] and ours in zone["zone"])
    result = run("--by", "cgroup", "--json", "--zone", name)
    assert result.returncode == 0, result.stderr
    assert [zone["zone"] for zone in json.loads(result.stdout)["zones"]] == [name]


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_hostile_names_of_files(zone, mem, disk_directory, json_option):
    file = disk_directory / os.fsdecode(HOSTILE + b"\n")
    file.write_bytes(bytes(PAGE))
    (disk_directory / "plain").symlink_to(file)
    mem.map(f"file {disk_directory / 'plain'} 1 shared read")
    for verb in (["frames"], ["explain", "--pid"]):
        result = run(*verb, str(mem.pid), *json_option)
        assert result.returncode == 0, result.stderr
        assert_printable(result.stdout)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "arguments", [("--by", "cgroup"), ("ps",), ("ps", "--json"), ("--help",)], ids=" ".join
)
def test_an_output_that_lacks_characters(make_zone, encoding, arguments):
    make_zone("naïve–漢字").spawn().tell("name " + "żółw".encode().hex())
    result = run(*arguments, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.decode(encoding)
    assert "\\u017c\\xf3" not in text  # not two kinds of escapes
    if arguments[0] == "--by":
        assert "na\\u00efve-\\u6f22\\u5b57" in text or "naïve-\\u6f22\\u5b57" in text
    if "--json" in arguments:
        assert any(process["command"] == "żółw" for process in json.loads(text)["processes"])


def test_a_complaint_that_lacks_characters():
    line = assert_refused(run("--zone", "漢", env={**os.environ, "PYTHONIOENCODING": "ascii"}), 1)
    assert "\\u6f22" in line


# ---- output that ends, and an impatient user -----------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--by", "cgroup"), ("ps",), ("ps", "--json")], ids=" ".join)
def test_a_reader_who_has_had_enough(arguments):
    """What `| head -1` does, without waiting for luck: the pipe is closed before the first byte."""
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*ZONERSS, *arguments], cwd=PROJECT, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert result.stderr == b""
    assert result.returncode in (0, 1, -signal.SIGPIPE)


def test_through_head():
    command = f"set -o pipefail; '{sys.executable}' -m zonerss ps --bytes | head -1"
    result = subprocess.run(["bash", "-c", command], cwd=PROJECT, capture_output=True, check=False)
    assert result.stderr == b""
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_a_disk_that_is_full(json_option):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [*ZONERSS, "ps", *json_option], cwd=PROJECT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    result.stdout = b""
    assert_refused(result, 1)


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_no_stdout_at_all(json_option):
    command = f"'{sys.executable}' -m zonerss ps {' '.join(json_option)} >&-"
    result = subprocess.run(["bash", "-c", command], cwd=PROJECT, capture_output=True, check=False)
    assert b"Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 1


@pytest.mark.parametrize("delay", [0, 0.005, 0.01, 0.02, 0.04, 0.08])
def test_control_c(mem, delay):
    """It ends by the signal, so that a shell loop around it ends, too, and says nothing."""
    mem.map("vmas 10007")
    command = [*ZONERSS, "--json"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while "_lib.abi3" not in Path(f"/proc/{process.pid}/maps").read_text() and process.poll() is None:
        time.sleep(0.0005)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert b"Traceback" not in stderr
    assert process.returncode in (0, 130, -signal.SIGINT)
    if stdout:
        json.loads(stdout)  # all of it, though it was about to end


@pytest.mark.parametrize(
    "ask", [Session.take, lambda session: session.place("zone"), Session.load], ids=["take", "place", "load"]
)
def test_a_closed_session_says_so(ask) -> None:
    session = Session()
    session.close()
    session.close()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(CannotServe, match="this session is closed"):
        ask(session)
    assert os.listdir("/proc/self/fd") == before
