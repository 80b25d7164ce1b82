#!/usr/bin/env bash
# Lints the chart, renders it for each file of values in ci/, and checks what comes out against the schemas of the
# oldest and the newest Kubernetes that it is meant for. Installs its tools with Go on the first run.
set -euo pipefail
cd "$(dirname "$0")"

HELM=v3.22.0
KUBECONFORM=v0.8.0
KUBERNETES=(1.30.14 1.37.2)

root=$(cd ../.. && pwd)
tools=${TOOLS_DIR:-$root/.tools}
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || python=python3

if ! command -v go >/dev/null; then
    echo "lint.sh: Go is missing; it installs helm and kubeconform (on Debian: apt-get install golang-go, 1.26 or newer)" >&2
    exit 1
fi

# The file names the version: a newer pin installs anew, and two checkouts may share the folder.
install_tool() { # NAME PACKAGE VERSION
    [ -x "$tools/bin/$1-$3" ] && return
    echo "== installing $1 $3 (once) =="
    mkdir -p "$tools/bin" "$tools/tmp"
    GOBIN="$tools/tmp" CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' "$2@$3"
    mv "$tools/tmp/$1" "$tools/bin/$1-$3"
}

# The official definitions come with the module k8s.io/kubernetes, checked against Go's checksum database.
make_schemas() { # VERSION
    [ -f "$tools/schemas/v$1/.complete" ] && return
    echo "== making the schemas of Kubernetes $1 (once) =="
    local module
    module=$(go mod download -json "k8s.io/kubernetes@v$1")
    "$python" schemas.py "$("$python" -c 'import json, sys; print(json.load(sys.stdin)["Dir"])' <<<"$module")" \
        "$tools/schemas/v$1"
}

install_tool helm helm.sh/helm/v3/cmd/helm $HELM
install_tool kubeconform github.com/yannh/kubeconform/cmd/kubeconform $KUBECONFORM
for version in "${KUBERNETES[@]}"; do make_schemas "$version"; done
helm=$tools/bin/helm-$HELM
kubeconform=$tools/bin/kubeconform-$KUBECONFORM

for values in ci/*.yaml; do
    "$helm" lint shifu --strict --quiet --values "$values"
    for version in "${KUBERNETES[@]}"; do
        echo "-- $values, Kubernetes $version"
        # KEDA's ScaledObject is no part of Kubernetes: looked at by a test, not by a schema.
        "$helm" template shifu shifu --namespace knowledge --kube-version "$version" --values "$values" |
            "$kubeconform" -strict -summary -skip ScaledObject \
                -schema-location "$tools/schemas/v$version/{{ .ResourceKind }}{{ .KindSuffix }}.json"
    done
done

# A chart that can be installed without what has no safe default would be wrong.
if "$helm" template shifu shifu --kube-version "${KUBERNETES[0]}" >/dev/null 2>&1; then
    echo "lint.sh: the chart renders without any values, so its schema misses what is required" >&2
    exit 1
fi
echo "chart: fine"
