#!/usr/bin/env bash
# Puts the Weaviate server that Shifu is tested with into a folder; does nothing if it is there already.
#
#   deploy/dev/install-weaviate.sh [FOLDER]      default: .weaviate/bin of this checkout
#
# WEAVIATE_BINARY names a server that is on this machine already; otherwise one on PATH is used, if it
# is of the right version; otherwise it is built with Go, which takes a few minutes the first time.
set -euo pipefail

version=v1.38.11
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$root/.weaviate/bin}
target=$folder/weaviate-server

say() { echo "install-weaviate: $*"; }

is_right_version() {
    # The server tells its version only once it runs, but Go keeps it in the binary.
    command -v go >/dev/null || return 0
    go version -m "$1" 2>/dev/null | grep -q "github.com/weaviate/weaviate[[:space:]]*$version"
}

if [ -x "$target" ]; then
    say "$target is there already"
    exit 0
fi
mkdir -p "$folder"

existing=${WEAVIATE_BINARY:-$(command -v weaviate-server || true)}
if [ -n "${WEAVIATE_BINARY:-}" ] && [ ! -x "$existing" ]; then
    say "WEAVIATE_BINARY is $existing, which is no program"
    exit 1
fi
if [ -n "${WEAVIATE_BINARY:-}" ] || { [ -n "$existing" ] && is_right_version "$existing"; }; then
    ln -s "$(readlink -f "$existing")" "$target"
    say "$target now stands for $existing"
    exit 0
fi
[ -z "$existing" ] || say "$existing is not $version, so it is not used"

if ! command -v go >/dev/null; then
    say "Go is missing, and there is no weaviate-server $version on PATH."
    say "Install Go 1.26 or newer (https://go.dev/dl), or set WEAVIATE_BINARY to a server you have, and run this again."
    exit 1
fi

say "building weaviate-server $version with $(go version | cut -d' ' -f3); about 4 minutes and 3.5 GB of cache the first time"
GOBIN=$folder CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
    go install "github.com/weaviate/weaviate/cmd/weaviate-server@$version"
say "$target is ready"
