"""Tests of tests/live whose answer depends on the kernel: run here, too, on each kernel of the guest.

On Linux 6.1 only the first page of a huge one says that it is backed by swap and who pays for it, and the iterator over
mappings begins with a process's first thread, which may have ended. Before 6.5 there is no cachestat(2): what is cached
of an open file is told by mincore(2). Here version 2 is the only cgroup hierarchy.
"""

from tests.live.test_explain import (  # noqa: F401
    test_tails_of_huge_pages_are_charged_as_their_heads_are,
    test_the_rest_of_cut_huge_pages_is_in_the_chain,
)
from tests.live.test_known_answers import (  # noqa: F401  a fixture among them
    shmem_thp,
    test_a_leader_that_ended_is_looked_at_through_its_thread,
    test_a_leader_that_ended_with_many_threads_that_live,
    test_huge_pages_of_shared_memory,
    test_two_leaders_that_ended_have_two_address_spaces,
)
from tests.live.test_listing import (  # noqa: F401  a fixture among them
    iterator,
    test_all_that_is_there,
    test_every_sort_of_process,
    test_threaded_cgroups_of_version_2,
)
from tests.live.test_pagetable import test_each_mapping_of_a_dead_leader_is_met_once  # noqa: F401
from tests.live.test_record import begin, test_a_signal_ends_it_whole_and_says_what_was_kept  # noqa: F401
from tests.live.test_report import logger, test_the_page_of_a_zone_says_whether_it_is_a_leak  # noqa: F401
from tests.live.test_run import no_cgroup_is_left, test_where_its_cgroup_is  # noqa: F401
from tests.live.test_threads import test_a_threaded_cgroup  # noqa: F401
