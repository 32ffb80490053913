"""What a capper that runs says of itself, as text: it keeps it in a file, whose lock tells whether it still runs.

What one that was killed has left is no word of it. :mod:`zonerss.cap.status` writes the text and knows what it means.

Source: flock(2).
"""

from __future__ import annotations

import os
from collections.abc import Collection

from zonerss.errors import CannotServe
from zonerss.kernel.keeping import is_held
from zonerss.kernel.roots import CAPPER_DIRECTORY
from zonerss.kernel.safely import read_kept

DIRECTORY = CAPPER_DIRECTORY
STATUS, LOCK = "status.json", "lock"
"""Files in it."""
MOST_BYTES = 64 << 20


def read_said(directory: str = DIRECTORY, owners: Collection[int] = (0,)) -> bytes | None:
    """
    What the capper that runs now says of itself; None: none runs, or it has not said anything yet.

    :param owners: user ids that may have written it
    :raises CannotServe: it cannot be read, or we may not ask whether one runs; the sentence says why
    """
    path, lock = os.path.join(directory, STATUS), os.path.join(directory, LOCK)
    if os.path.lexists(lock) and not os.access(lock, os.R_OK):
        raise CannotServe(f"cannot tell whether a capper runs: only root may read {lock}; ask as root")
    if not is_held(lock):
        return None
    try:
        return read_kept(path, owners, MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        raise CannotServe(f"cannot read what the capper says in {path}: {why}; start it anew") from err
