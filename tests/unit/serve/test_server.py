"""What of the server can be told without walking; the rest is in tests/live/test_serve.py."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from zonerss.serve import server
from zonerss.serve.addresses import UnixAddress
from zonerss.serve.sockets import listen


def test_the_name_of_a_socket_that_was_handed_over_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = UnixAddress(str(tmp_path / "theirs")), UnixAddress(str(tmp_path / "ours"))
    handed = listen(theirs)
    monkeypatch.setattr(server, "passed", lambda environ, pid: [handed])
    with ExitStack() as stack:
        first, second = server._listen_all([ours], stack)
        assert first is handed
    assert first.fileno() == second.fileno() == -1
    assert Path(theirs.path).is_socket()
    assert not Path(ours.path).exists()
