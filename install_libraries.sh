#!/bin/sh
# Installs the libraries into an environment, given its Python; `make setup` calls it, in the folder of the lock.
#
# Where the lock is made for, its versions with their hashes; elsewhere the ranges of pyproject.toml. The configured
# indexes come first. PyTorch's index of CPU builds, $TORCH_INDEX, is asked only for a torch that they lack.
set -eu
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip_install() {
    "$python" -m pip install --quiet --quiet --disable-pip-version-check "$@" 2>"$work/errors"
}

fail() {
    cat "$work/errors" >&2
    exit 1
}

install_torch() {
    pip_install --no-deps "$@" && return
    echo "pip's configured indexes did not give $torch; trying $TORCH_INDEX in addition"
    pip_install --no-deps --extra-index-url "$TORCH_INDEX" "$@" || fail
}

torch=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.lock)
here="$("$python" --version | cut -d . -f 1,2) on $(uname -sm)"
if head -n 1 requirements.lock | grep -q "$here"; then
    echo "Installing the libraries of requirements.lock, which takes some minutes"
    # From its first line to the first that does not end in a backslash: with its hashes.
    sed -n '/^torch==/,/[^\\]$/p' requirements.lock >"$work/torch.txt"
    install_torch --require-hashes --requirement "$work/torch.txt"
    pip_install --no-deps --require-hashes --requirement requirements.lock || fail
else
    echo "requirements.lock is not for $here: installing the ranges of pyproject.toml, which takes some minutes"
    "$python" -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
print(*project["dependencies"], *project["optional-dependencies"]["dev"], sep="\n")
' >"$work/ranges.txt"
    # PyPI has the CPU build for other systems, and for Linux one of several gigabytes for GPUs.
    if [ "$(uname -s)" = Linux ]; then
        install_torch "$torch"
    fi
    pip_install --requirement "$work/ranges.txt" || fail
fi
