"""Process groups of our own children."""

from __future__ import annotations

import subprocess
import time

from zonerss.kernel.groups import has_others


def test_a_group_with_others_and_one_without() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True) as alone:
        assert not has_others(alone.pid)
        alone.kill()
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        assert has_others(leader.pid)
        subprocess.run(["/bin/kill", "-KILL", str(child)], check=True)
        while has_others(leader.pid):
            time.sleep(0.01)
