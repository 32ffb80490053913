# shellcheck shell=bash
# shellcheck disable=SC2034  # the variables are for the scripts that source this
# Shared by every script under vm/: paths, messages, errors.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${ZONERSS_VENV:-$project/.venv}
# The images: ignored by git, safe to delete.
out=$project/vm/out

# Another architecture than this host's has its images apart: the root folder, the kernels, zonerss compiled for it.
architecture=amd64
choose_architecture() {
    [[ $1 == arm64 || $1 == amd64 ]] || { say "say --arch amd64 or --arch arm64, not '$1'." && exit 2; }
    architecture=$1
    [[ $1 == amd64 ]] || out=$project/vm/out/$1
}

# Messages go to stderr; stdout is that of the command that is run.
say() {
    printf '%s: %s\n' "${0#"$project"/}" "$*" >&2
}

# An unexpected failure is reported. A script of ours that failed has printed its own message: '|| exit' follows it.
set -o errtrace
trap 'say "line $LINENO: $BASH_COMMAND: failed."' ERR

# Print one sentence that says what was wrong and what to do, and exit.
die() {
    say "$*"
    exit 1
}

# Run a command so that it ends when this shell is terminated: bash would exit at once and leave it running.
child=
supervise() {
    local status=0
    "$@" <&0 &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

end_child() {
    [[ -n $child ]] || return 0
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
}

require_space() {
    local free
    mkdir -p "$out"
    free=$(df --output=avail -B1G "$out" | tail -n 1)
    [[ $free -ge $1 ]] || die "vm/out needs $1 GiB, and its file system has $((free)) free: make room."
}

require_root() {
    [[ $EUID -eq 0 ]] || die "this needs root: run it again as 'sudo ${0#"$project"/} ...'."
}

# The packages of lists, one a line, without comments.
packages_of() {
    local name
    for name in "$@"; do
        [[ -r $project/vm/packages/$name ]] || die "there is no package list vm/packages/$name."
        sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$project/vm/packages/$name"
    done
}

# Whether pytest's arguments name no file or directory, so that the caller has to choose the tests.
names_no_tests() {
    local argument
    for argument in "$@"; do
        [[ ! -e $project/${argument%%::*} && ! -e ${argument%%::*} ]] || return 1
    done
}
