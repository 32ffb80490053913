# shellcheck shell=bash
# shellcheck disable=SC2034  # the variables are for those who source this
# What every script under vm/ shares: where the project is, and how to speak and to fail.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${ZONERSS_VENV:-$project/.venv}
# The images: cached, ignored by git, always safe to delete.
out=$project/vm/out

# Progress goes to stderr, because stdout belongs to the command that is run in the end.
say() {
    printf '%s: %s\n' "${0#"$project"/}" "$*" >&2
}

# What no script foresaw must not end it without a word. A script of ours that fails has spoken: '|| exit' after it.
set -o errtrace
trap 'say "line $LINENO: $BASH_COMMAND: failed."' ERR

# One sentence that says what was wrong and what to do about it.
die() {
    say "$*"
    exit 1
}

# Run a command so that it ends with us: a shell that is told to end does so at once, and its child would work on.
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

# A package list without its comments: one name a line.
packages_of() {
    local name
    for name in "$@"; do
        [[ -r $project/vm/packages/$name ]] || die "there is no package list vm/packages/$name."
        sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$project/vm/packages/$name"
    done
}

# pytest's arguments name no file or directory: it is for the caller to say which tests belong to the place.
names_no_tests() {
    local argument
    for argument in "$@"; do
        [[ ! -e $project/${argument%%::*} && ! -e ${argument%%::*} ]] || return 1
    done
}
