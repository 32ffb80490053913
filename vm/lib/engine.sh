# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables of common.sh, and for the scripts that source this
# Sourced after common.sh: the container engine of this machine, and the image of vm/out/root.tar.

engine=()

# Set engine: podman with runc, or docker where ZONERSS_ENGINE says so. It is installed, or the script ends.
find_engine() {
    case ${ZONERSS_ENGINE:-podman} in
        podman)
            "$project/vm/install" container-host || exit
            local program
            for program in podman runc; do
                command -v "$program" >/dev/null ||
                    die "$program's package is installed, but no directory of PATH has $program: add Debian's, /usr/bin and /usr/sbin."
            done
            # Debian's crun refuses hybrid cgroup trees; runc does not.
            engine=(podman --runtime runc)
            # Without systemd there is no cgroup manager and no journal.
            [[ -d /run/systemd/system ]] || engine+=(--cgroup-manager cgroupfs --events-backend file)
            ;;
        docker)
            command -v docker >/dev/null ||
                die "docker is not installed: install it, or leave ZONERSS_ENGINE unset for podman."
            docker version >/dev/null 2>&1 ||
                die "docker's daemon does not answer: start it, or leave ZONERSS_ENGINE unset for podman."
            engine=(docker)
            ;;
        *) die "ZONERSS_ENGINE is '$ZONERSS_ENGINE': say podman or docker." ;;
    esac
}

# Set root_image: the name of the image of vm/out/root.tar, which is made, and imported, where it is not there.
root_image=
import_root() {
    "$project/vm/image/build-root" || exit
    root_image=localhost/zonerss-root:$(head -c 12 "$out/root.sha256")
    ! "${engine[@]}" image inspect "$root_image" >/dev/null 2>&1 || return 0
    say "importing vm/out/root.tar as $root_image"
    "${engine[@]}" images --format '{{.Repository}}:{{.Tag}}' | { grep '^localhost/zonerss-root:' || true; } |
        xargs -r "${engine[@]}" rmi >/dev/null 2>&1 || true
    "${engine[@]}" import "$out/root.tar" "$root_image" >/dev/null 2>"$out/import.log" ||
        die "${engine[0]} could not import the image ($(tail -n 1 "$out/import.log")): is the disk full?"
}
