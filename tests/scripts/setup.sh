#!/usr/bin/env bash
# Makes sure that what fleetline is built with is here: a C compiler (SQLite is compiled from source), make,
# git, Rust, and, when asked for `check`, rustfmt and clippy; or, when asked for `python`, a Python 3 that can make virtual
# environments, for the tests' AWS emulator. As root on a system with apt it installs all but Rust; what it cannot
# install it names, with the command that does.
#
#     setup.sh [build|check|python]
set -euo pipefail

purpose=${1:-build}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

fail() {
    echo "setup: $*" >&2
    exit 1
}

packages=()
if [[ $purpose == python ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
fi
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v make >/dev/null || packages+=(make)
command -v git >/dev/null || packages+=(git)

if ((${#packages[@]})); then
    if ! command -v apt-get >/dev/null; then
        fail "missing: ${packages[*]}. Install them with your system's package manager" \
            "(on macOS: xcode-select --install), then run this again."
    elif [[ $(id -u) != 0 ]]; then
        fail "missing: ${packages[*]}. Run: sudo apt-get install ${packages[*]}"
    fi
    echo "setup: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends ca-certificates "${packages[@]}" >/dev/null
fi

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml")
[[ -n $wanted ]] || fail "Cargo.toml names no rust-version"
command -v cargo >/dev/null || fail "there is no cargo. Install Rust $wanted or newer: https://rustup.rs"
found=$(rustc --version | cut -d' ' -f2)
oldest=$(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
[[ $oldest == "$wanted" ]] || fail "Rust $found is too old: fleetline needs $wanted. Run: rustup update stable"

case $purpose in
    build | python) ;;
    check)
        for component in fmt clippy; do
            cargo "$component" --version >/dev/null 2>&1 ||
                fail "there is no cargo $component. Run: rustup component add rustfmt clippy"
        done
        ;;
    *) fail "unknown purpose: $purpose (build, check or python)" ;;
esac
