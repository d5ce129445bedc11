#!/usr/bin/env bash
# Holds the dependency graph to deny.toml with cargo-deny, which it finds or builds by itself: once, into a
# folder that all checkouts share. Bans, licences and sources are decided from Cargo.lock alone. The advisory
# database is a download: where it cannot be had the check says SKIPPED; a finding in it always fails.
set -euo pipefail

version=0.20.2
fetch_seconds=${FLEETLINE_ADVISORY_FETCH_SECONDS:-60}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

# `timeout` where the system has one (macOS has not): a fetch that hangs must not hang the check.
bounded() {
    local seconds=$1
    shift
    if command -v timeout >/dev/null; then
        timeout "$seconds" "$@"
    else
        "$@"
    fi
}

install_cargo_deny() {
    local root=$1 start=$SECONDS
    echo "cargo-deny $version is not here: building it once (about a minute)"
    # A quick build: it runs for a second, so optimising it would cost more than it ever saves.
    env -u CARGO_TARGET_DIR -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --version "=$version" --root "$root" cargo-deny
    echo "cargo-deny $version is in $root ($((SECONDS - start)) s)"
}

# 1. The tool.
if [[ $(cargo-deny --version 2>/dev/null) == "cargo-deny $version" ]]; then
    deny=cargo-deny
else
    root=$("$here/cache-dir")/cargo-deny-$version
    deny=$root/bin/cargo-deny
    [[ $("$deny" --version 2>/dev/null) == "cargo-deny $version" ]] || install_cargo_deny "$root"
fi

# 2. What Cargo.lock decides. Wrappers in deny.toml say who may use a crate, not who does.
"$deny" --locked check --allow unused-wrapper --hide-inclusion-graph bans licenses sources

# 3. What the advisory database knows.
if said=$(GIT_TERMINAL_PROMPT=0 bounded "$fetch_seconds" "$deny" --locked fetch db 2>&1 </dev/null); then
    "$deny" --locked --offline check --hide-inclusion-graph advisories
else
    code=$?
    if ((code == 124)); then
        reason="the advisory database did not arrive within $fetch_seconds s"
    else
        reason=$(grep -m 1 -E '^(fatal|error):' <<<"$said" || tail -n 1 <<<"$said")
    fi
    echo "SKIPPED advisories: $reason"
fi
