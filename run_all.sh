#!/usr/bin/env bash
# Set up an environment if needed, run every notebook, end with a table. See --help.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv="$root/.venv"
py=""

usage() {
    cat <<'TEXT'
usage: ./run_all.sh [--profile smoke|quick|paper] [--only NAME ...] [--jobs N] [--force] [--publish]
       ./run_all.sh test        lint, tests and notebook checks
       ./run_all.sh plain       install the library alone into build/plain and run the examples of README.md there
       ./run_all.sh lab         open the notebooks in JupyterLab
       ./run_all.sh --help

Runs the notebooks at a profile (default: quick), writes executed copies with their figures to out/<profile>/ and prints a table:
notebook, data source, seconds, peak memory, status. What has not changed since the last run is not run again.

  --profile P    smoke: synthetic data, 3 minutes; quick: small real data where they can be had, about 10 minutes;
                 paper: full data and settings of the papers, hours (continues where it was stopped)
  --only NAME    notebooks by number or name, e.g. --only 03 05
  --jobs N       notebooks at a time (default: one per core, at most 4; one in the paper profile)
  --force        run also what is up to date
  --publish      renew figures/ too; figures of real data and of larger profiles stay
  --resume       accepted and needless: every run continues where the last one stopped

The active conda or virtual environment is used if it holds the packages; otherwise .venv is made here and filled by pip with
your own pip configuration. RECQ_PYTHON names the Python to make it with. RECQ_DATA_DIR names a folder of ready-made datasets.

Exit status: 0 all good, 1 something failed, 2 the call is wrong, 3 no usable environment.
TEXT
}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit "${2:-1}"
}

# ---- environment ------------------------------------------------------------------------------------------------------

holds_packages() { # does the Python $1 hold every package in a usable version? With a second argument, say what is wrong
    local answer status=0
    answer=$(cd "$root" && PYTHONPATH="$root" "$1" -m recq_lib.companion.environment 2>&1) || status=1
    if [ $status -ne 0 ] && [ $# -gt 1 ]; then printf '%s\n' "$answer" | sed 's/^/  /' >&2; fi
    return $status
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() { # sets `base` to a Python 3.11 or newer that can make environments
    local candidate found=""
    base=""
    for candidate in ${RECQ_PYTHON:+"$RECQ_PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if new_enough "$candidate"; then
            base=$candidate
            return
        fi
        found="$found $candidate ($("$candidate" --version 2>&1 | head -n 1 || true))"
    done
    fail "recq needs Python 3.11 or newer; found:${found:- none}. Install one, name it with RECQ_PYTHON, or use environment.yml" 3
}

stamp() { # what the environment was built from
    "$1" - "$root/pyproject.toml" "$root/constraints.txt" <<'PY'
import hashlib, sys
digest = hashlib.sha256(sys.version.encode())
for name in sys.argv[1:]:
    digest.update(open(name, "rb").read())
print(digest.hexdigest())
PY
}

wants_cpu_build() { # Linux on x86-64 or ARM without an NVIDIA GPU
    [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1 && [ ! -e /proc/driver/nvidia/version ]
}

answers() { # does the URL $2 answer within 3 seconds? A thread, because name look-up has no time limit of its own
    "$1" - "$2" <<'PY'
import os, sys, threading, urllib.request
def ask():
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=3) as reply:
            os._exit(0 if reply.status == 200 else 1)
    except Exception:
        os._exit(1)
threading.Thread(target=ask, daemon=True).start()
threading.Event().wait(3)
os._exit(1)
PY
}

install_torch() {
    local index=https://download.pytorch.org/whl/cpu
    "$py" -c 'import importlib.metadata as m, sys; sys.exit(not m.version("torch").startswith("2.13."))' 2>/dev/null && return
    if wants_cpu_build && answers "$py" "$index/torch/"; then
        echo "installing torch (CPU build) ..."
        "$py" -m pip install --quiet -c "$root/constraints.txt" --extra-index-url "$index" "torch==2.13.0+cpu" && return
        echo "the CPU build could not be installed; taking the one from your package index" >&2
    fi
    echo "installing torch ..."
    "$py" -m pip install --quiet -c "$root/constraints.txt" torch==2.13.0
}

make_venv() {
    local wanted=""
    py="$venv/bin/python"
    if [ -x "$py" ] && new_enough "$py"; then
        wanted=$(stamp "$py")
        if [ "$(cat "$venv/.recq-stamp" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    else
        find_python
        echo "making .venv with $("$base" --version 2>&1)"
        "$base" -m venv --clear "$venv" || fail "$base could not make .venv; on Debian and Ubuntu install python3-venv" 3
        wanted=$(stamp "$py")
    fi
    rm -f "$venv/.recq-stamp"
    if ! { install_torch && echo "installing the other packages ..." && "$py" -m pip install --quiet -c "$root/constraints.txt" -e "$root[all]"; }; then
        if holds_packages "$py"; then
            echo "warning: pip failed, but .venv holds usable versions of every package; going on with them" >&2
            return
        fi
        fail "installation failed (pip's message is above). Without internet, use an environment that holds the packages, or point pip at a local index with PIP_INDEX_URL or PIP_FIND_LINKS" 3
    fi
    holds_packages "$py" say || fail "the packages above are still not usable in .venv; delete .venv and try again" 3
    printf '%s\n' "$wanted" >"$venv/.recq-stamp"
}

choose_environment() {
    local active="" prefix
    for prefix in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}"; do
        if [ -n "$prefix" ] && [ "$prefix" != "$venv" ] && [ -x "$prefix/bin/python" ]; then
            active=$prefix
            break
        fi
    done
    if [ -n "$active" ]; then
        if new_enough "$active/bin/python" && holds_packages "$active/bin/python"; then
            py="$active/bin/python"
            return
        fi
        echo "the active environment does not hold every package at a usable version; using .venv"
    fi
    make_venv
}

# ---- commands ---------------------------------------------------------------------------------------------------------

run_tests() {
    local failed=()
    "$py" -m ruff check recq_lib tests notebooks || failed+=(ruff)

    # one thread per worker: two workers that each start two threads slow each other down many times over
    RECQ_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 \
        "$py" -m pytest tests -ra -n 2 --dist loadscope || failed+=(tests)

    if [ ${#failed[@]} -gt 0 ]; then
        echo "FAILED: ${failed[*]}"
        return 1
    fi
    echo "all checks passed"
}

try_plain() { # as a user of the library alone: no extras, another folder, nothing of this checkout on the path
    "$py" -m venv --clear "$root/build/plain" || fail "$py could not make build/plain" 3
    py="$root/build/plain/bin/python"
    rm -rf "$root/build/lib" "$root"/build/bdist.* # what an earlier build left would be installed as well
    unset PYTHONPATH
    cd "$root/build/plain"
    install_torch
    "$py" -m pip install --quiet -c "$root/constraints.txt" "$root"
    "$py" -P "$root/tests/plain_install.py"
    "$py" -P "$root/tests/readme_examples.py" "$root/README.md"
}

command=run
case "${1:-}" in
    test | plain | lab)
        command=$1
        [ $# -eq 1 ] || fail "'$command' takes no further arguments (see --help)" 2
        ;;
esac
for argument in "$@"; do
    case "$argument" in -h | --help) usage; exit 0 ;; esac
done
cd "$root"
choose_environment
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
export PATH="$(dirname "$py"):$PATH"
case "$command" in
    run) exec "$py" -m recq_lib.companion.runner run "$@" ;;
    test) run_tests ;;
    plain) try_plain ;;
    lab) exec "$py" -m jupyterlab notebooks ;;
esac
