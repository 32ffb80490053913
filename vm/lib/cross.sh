# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables of common.sh, and for the scripts that source this
# Sourced after common.sh: what compiles for another architecture on this host.

# Set machine (as uname calls it), compiler and includes: the options that find Python's headers, of its root folder. Both are made
# or installed where they are not there.
find_cross() {
    case $architecture in
        arm64) machine=aarch64 ;;
        *) die "zonerss is compiled for other architectures than this host's only: say arm64." ;;
    esac
    "$project/vm/image/build-root" --arch "$architecture" || exit
    "$project/vm/install" "guest-host-$architecture" || exit
    compiler=$machine-linux-gnu-gcc
    # The system's headers that are the same on each architecture come after the cross compiler's own.
    includes=(-idirafter "$out/root/usr/include" -idirafter "$out/root/usr/include/$machine-linux-gnu")
}

# Set platforms: pip's options for wheels of that machine, of Debian 12's and Python 3.11's or older.
wheels_of_machine() {
    local glibc
    platforms=(--only-binary :all: --python-version 3.11 --implementation cp)
    for glibc in 2014 _2_17 _2_28 _2_34; do platforms+=(--platform "manylinux${glibc}_$machine"); done
}
