"""What explain prints, in full."""

from __future__ import annotations

from tests.unit.builders import snapshot, usage
from tests.unit.documents import CHAIN as MACHINE_CHAIN
from tests.unit.documents import machine_account, shmem_account

from zonerss.answers.explain.chain import Chain, Payment, Step
from zonerss.answers.explain.getvmusage import HowMapped
from zonerss.answers.explain.numbers import Number
from zonerss.answers.explain.process import ThreeWays
from zonerss.answers.explain.records import Account, Drift, Matrix, Payer
from zonerss.plain import replace
from zonerss.records import Zone
from zonerss.records.bills import Bill
from zonerss.views.explain import chain, getvmusage, machine, numbers, payers, process, tmpfs
from zonerss.views.explain.payers import hint

MIB = 1 << 20
EVIL = "/a\x1b[2J\nb"

CHAIN = Chain(
    zone="web",
    cgroup="/web",
    processes=3,
    process_rss_bytes=300 * MIB,
    rss_bytes=120 * MIB,
    steps=(
        Step("counted_again", -180 * MIB),
        Step("billed_to_others", -17 * MIB, "/db"),
        Step("billed_to_nobody", 0),
        Step("cache_not_mapped", 23 * MIB),
        Step("anon_not_seen", 0),
        Step("kernel", 7 * MIB),
        Step("mapped_by_others", 2 * MIB, "/db", ("db",)),
    ),
    charged_bytes=135 * MIB + 4096,
    residual_bytes=4096,
    residual_bound_bytes=MIB // 2,
)
BILL = Bill(1, CHAIN.charged_bytes, {}, {}, 7 * MIB, 0, None)
ACCOUNT = Account(
    snapshot=snapshot(),
    zone=Zone("web", "/web"),
    usage=usage(),
    chain=CHAIN,
    bill=BILL,
    shares=None,
    drift=Drift((), (), 0),
    attempts=1,
    cgroup_bill=BILL,
    below=(),
)


def test_the_chain():
    lines = chain.render(replace(ACCOUNT, shares=object()))
    assert lines == [
        "zone web",
        "",
        "   SIZE  WHAT",
        "   300M  sum of process RSS (3 processes)",
        "-  180M  counted again: frames that several processes of the zone map",
        "=  120M  RSS of the zone: every frame once",
        "-   17M  charged to /db",
        "+   23M  page cache of this cgroup that no process maps",
        "+  7.0M  kernel memory: page tables, stacks, slab",
        "+  2.0M  charged here, mapped only by db",
        "+    4K  not explained (within the kernel's own rounding, 512K)",
        "=  135M  charged to /web (memory.usage_in_bytes)",
        "",
    ]


def test_what_is_to_be_said_about_it():
    moved = replace(ACCOUNT, drift=Drift((42,), (), -8192), attempts=3)
    assert chain.render(moved)[-2:] == [
        "The kernel does not tell which cgroup a frame is charged to (no /proc/kpagecgroup): steps are missing.",
        "Changed during the measurement: 1 process came, 0 left, the charge changed by -8,192 bytes; "
        "measured 3 times.",
    ]
    no_bill = replace(ACCOUNT, bill=None, drift=None, shares=object())
    assert "ends at its RSS" in chain.render(no_bill)[-1]
    too_far = replace(ACCOUNT, chain=replace(CHAIN, residual_bytes=-MIB))
    assert any("NOT EXPLAINED" in line for line in chain.render(too_far))


def test_names_are_hostile():
    evil = replace(CHAIN, zone=EVIL, cgroup=EVIL, steps=(Step("billed_to_others", -4096, EVIL),))
    text = "\n".join(chain.render(replace(ACCOUNT, chain=evil)))
    assert "\x1b" not in text
    assert r"/a\x1b[2J\x0ab" in text
    document = chain.document(replace(ACCOUNT, chain=replace(evil, zone="/\udcff")))
    assert document["zone"] == r"/\xff"


def test_the_document_adds_up():
    document = chain.document(ACCOUNT)
    assert document["schema"] == "zonerss.explain/1"
    total = document["process_rss_bytes"] + sum(step["bytes"] for step in document["steps"])
    assert total + document["residual_bytes"] == document["charged_bytes"]
    assert document["steps"][1] == {"step": "billed_to_others", "bytes": -17 * MIB, "cgroup": "/db"}
    assert document["steps"][-1]["zones"] == ["db"]
    assert document["drift"] == {"came": (), "left": (), "charged_bytes": 0}
    assert document["holds"] is True


def test_numbers():
    rows = (Number("ps, prstat", 3 * MIB, "sum", "all"), Number("kubelet", None, "usage", "some"))
    assert numbers.render("web", rows) == [
        "zone web",
        "",
        "WHO         SIZE  FORMULA  ANSWERS",
        "ps, prstat  3.0M  sum      all",
        "kubelet        –  usage    some",
    ]


PAYERS = (
    Payer("/web", "web", 9 * MIB, 0, 3),
    Payer("/db", "db", 9 * MIB, 0, 5),
    Payer("/gone", None, 2 * MIB, 0, 0),
    Payer("/above", None, 7 * MIB, 5 * MIB, 4),
    Payer("/", None, MIB, None, 99),
)


def test_hints():
    def why(cgroup: str | None) -> str:
        return hint(Payment("web", cgroup, MIB, 0), PAYERS)

    assert why("/web") == "its own"
    assert why("/db") == "db touched these first, and pays"
    assert why("/gone") == "no process is left in it: the charge outlives them"
    assert why("/above") == (
        "5.0M of all that it pays for was charged by removed cgroups below: charges outlive them"
    )
    assert why("/") == "the root cgroup: on no limit"
    assert why(None) == "in no bill: touched before there was one, or since freed"


def test_the_matrix():
    cells = (
        Payment("db", "/db", 4 * MIB, MIB),
        Payment("web", "/db", 2 * MIB, 0),
        Payment("web", None, 4096, 0),
    )
    matrix = Matrix(snapshot(), cells, PAYERS)
    assert payers.render(matrix, "web") == [
        "ZONE  MAPS  EXCL  PAYER  WHY",
        "web   2.0M    0K  /db    db touched these first, and pays",
        "web     4K    0K  –",
    ]
    assert len(payers.render(matrix, None)) == 4
    document = payers.document(matrix, None)
    assert document["schema"] == "zonerss.payers/1"
    assert document["payments"][2]["cgroup"] is None
    assert document["payers"][3]["removed_bytes"] == 5 * MIB


def test_how_mapped():
    mapped = HowMapped(7 * MIB, 5 * MIB, MIB, 11 * MIB, MIB, 9 * MIB, 3 * MIB, 0)
    assert getvmusage.render("web", mapped) == [
        "zone web, basis incore",
        "",
        "WHO         WHAT          SIZE  MEANS",
        "getvmusage  rss_private   7.0M  through MAP_PRIVATE (libc is private)",
        "            rss_shared    5.0M  through MAP_SHARED: files, tmpfs, shared memory",
        "zonerss     exclusive      11M  no other zone has it, however it is mapped",
        "            shared        1.0M  another zone has it, too",
        "getvmusage  swap_private  9.0M  reserved (fork doubles it)",
        "            swap_shared   3.0M  reserved by shared memory, each once",
        "zonerss     swap            0K  used: slots that page tables refer to",
        "",
        "1.0M is mapped both ways and counted in rss_shared.",
    ]


def test_one_process():
    steps = (
        Step("counter_lag", 8192),
        Step("changed_meanwhile", 0),
        Step("zero_page", 67 * 4096),
        Step("device", 0),
        Step("hugetlb", 2 * MIB),
    )
    ways = ThreeWays(42, 100 * 4096, 102 * 4096, 169 * 4096 + 2 * MIB, steps, 16384)
    assert process.render(ways, in_bytes=True) == [
        "process 42",
        "",
        "     BYTES  WHAT",
        "    409600  by the kernel's counters (statm): what ps prints",
        "+     8192  not yet added up by each processor",
        "=   417792  by smaps: the sum of Rss",
        "+   274432  entries that map the zero page",
        "+  2097152  hugetlb pages, which smaps does not count in Rss",
        "=  2789376  by page table entries: every entry that pagemap shows (rm_asrss)",
        "",
        "Not in it: device or kernel memory that is mapped by frame number (VM_PFNMAP), 16384 at most; pagemap does "
        "not show it.",
    ]
    assert process.render(replace(ways, pfnmap_bytes=0)) == process.render(ways)[:-2]
    document = process.document(ways, None)
    assert (
        document["statm_bytes"] + sum(s["bytes"] for s in document["steps"]) == document["translations_bytes"]
    )


def test_the_machine():
    lines = machine.render(machine_account())
    assert lines[:13] == [
        "machine vm",
        "",
        "    SIZE  WHAT",
        "   1000M  RAM",
        "-   3.0M  reserved at boot: the kernel's image, its records of all frames",
        "=   997M  memory that the kernel manages (MemTotal). Of it:",
        "    101M  zones: private memory that no file backs",
        "    300M  page cache of files that nobody maps",
        "    7.0M  vmalloc: modules, BPF programs, tables",
        "    590M  free",
        "-   1.0M  UNACCOUNTED FOR (more than counters may be behind, 512K)",
        "",
        "/proc/meminfo says the same, within 0K: MemFree.",
    ]
    assert lines[13].startswith("/proc/meminfo says otherwise of Slab: 20M; frames say 30M")
    assert lines[14] == "Contained above: buffers of TCP sockets 4K."


def test_a_machine_that_adds_up():
    whole = replace(MACHINE_CHAIN, unaccounted_bytes=4096, checks=(), within=())
    lines = machine.render(replace(machine_account(), chain=whole, snapshot=snapshot(machine=None)))
    assert lines[0] == "machine"
    assert lines[10:] == ["      4K  unaccounted for (within what counters may be behind, 512K)", ""]


def test_the_document_of_the_machine_adds_up():
    document = machine.document(machine_account())
    assert document["schema"] == "zonerss.machine/1"
    assert (
        sum(step["bytes"] for step in document["steps"]) + document["unaccounted_bytes"]
        == document["memory_bytes"]
    )
    assert document["ram_bytes"] == document["reserved_bytes"] + document["memory_bytes"]


def test_shared_memory():
    lines = tmpfs.render(shmem_account())
    assert lines[0].split() == [
        "SIZE",
        "MAPPED",
        "NOT",
        "MAPPED",
        "KIND",
        "NAME",
        "MAPPED",
        "BY",
        "OPEN",
        "IN",
    ]
    assert lines[1].split() == ["9.0M", "2.0M", "7.0M", "tmpfs", "/dev/shm", "db"]
    assert lines[2].split() == ["3.0M", "0K", "3.0M", "sysv", "0x00000000", "nobody"]
    assert "\x1b" not in "\n".join(lines)
    assert lines[4].split() == ["–", "1.0M", "–", "shared", *["shared", "anonymous", "memory"], "db", "web"]
    assert lines[6].split() == ["MAPPED", "NOT", "MAPPED", "CHARGED", "TO"]
    assert lines[8].split() == ["0K", "4K", "–"]
    assert "Shared memory in RAM: 15M, 10M of it mapped by nobody." in lines
    assert any(line.startswith("Not seen: the mounts that process 7 sees: caf") for line in lines)


def test_shared_memory_without_payers():
    lines = tmpfs.render(shmem_account(None), in_bytes=True)
    assert lines[1].split()[:3] == [str(9 * MIB), str(2 * MIB), str(7 * MIB)]
    assert any("no /proc/kpagecgroup" in line for line in lines)
