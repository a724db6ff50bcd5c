#!/usr/bin/env bash
# The environment of every script here: finds or installs uv, makes the virtual environment and syncs the lock of this
# machine's device. Sourced by the other scripts; `bash launch/bootstrap.sh` alone only installs.
#
#   FUNREASON_DEVICE     cpu or gpu (default: gpu where nvidia-smi lists a GPU)
#   FUNREASON_VENV       where the environment lives (default: .venv for cpu, .venv-gpu for gpu, side by side in the
#                        repository, so that preparing data on a login node leaves the GPU nodes' environment alone)
#   FUNREASON_SMI_SECONDS  how long nvidia-smi may take (default: 60)
#   FUNREASON_BOOTSTRAP  skip: use the environment that is already on PATH, as in a container
#
# Which package index is asked is the user's own uv or pip configuration. Everything written lies in the environment's
# folder. All messages go to stderr, so that stdout belongs to the command that follows.

[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # started as sh SCRIPT

LAUNCH_DIR="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" # a script may be called by a link
REPO_DIR="$(dirname "$LAUNCH_DIR")"
# The lock's torch is built for CUDA 13.0 (NVIDIA's CUDA compatibility table).
LEAST_DRIVER=580

note() { printf 'launch: %s\n' "$*" >&2; }
fail() { printf 'Error: %s\n' "$*" >&2; exit 2; }

# --- what the environment should be -----------------------------------------------------------------------------------

# A driver that hangs makes nvidia-smi wait for ever, and with it everything that asks it.
SMI_SECONDS="${FUNREASON_SMI_SECONDS:-60}"

# Sets SAID to what nvidia-smi says.
ask_smi() {
    local code=0
    [[ "$SMI_SECONDS" =~ ^[1-9][0-9]*$ ]] || fail "FUNREASON_SMI_SECONDS is '$SMI_SECONDS': set it to a whole number from 1 on."
    SAID="$(timeout -k 5 "$SMI_SECONDS" nvidia-smi "$@" 2>&1)" || code=$?
    ((code != 124 && code != 137)) \
        || fail "$(uname -n): nvidia-smi gave no answer within $SMI_SECONDS s (FUNREASON_SMI_SECONDS): the driver of this" \
            "node hangs, and a restart of the node mends that. FUNREASON_DEVICE=cpu does without its GPUs."
    return "$code"
}

has_gpu() {
    command -v nvidia-smi >/dev/null || return 1
    ask_smi -L || true
    if [[ "$SAID" =~ GPU\ [0-9]+: ]]; then return 0; fi
    note "nvidia-smi is here but lists no GPU (${SAID:0:200}), so this is taken for a machine without one;" \
        "FUNREASON_DEVICE=gpu says otherwise."
    return 1
}

# Sets DEVICE, LOCK_FILE and VENV_DIR. A finished environment's stamp is "DEVICE HASH".
choose_device() {
    local installed=""
    VENV_DIR="${FUNREASON_VENV:-}"
    [[ -z "$VENV_DIR" || "$VENV_DIR" == /* ]] || VENV_DIR="$PWD/$VENV_DIR"
    if [[ -n "$VENV_DIR" && -f "$VENV_DIR/.stamp" ]]; then installed="$(cut -d' ' -f1 "$VENV_DIR/.stamp")"; fi
    case "${FUNREASON_DEVICE:-}" in
        cpu | gpu) DEVICE="$FUNREASON_DEVICE" ;;
        "") if [[ "$installed" == gpu ]] || has_gpu; then DEVICE=gpu; else DEVICE=cpu; fi ;;
        *) fail "FUNREASON_DEVICE is '$FUNREASON_DEVICE', but only cpu and gpu exist." ;;
    esac
    [[ -z "$installed" || "$installed" == "$DEVICE" ]] \
        || fail "FUNREASON_VENV=$VENV_DIR holds the environment for $installed, and this machine needs the one for $DEVICE:" \
            "name another folder, or unset FUNREASON_VENV (then each device has its own)."
    if [[ -z "$VENV_DIR" && "$DEVICE" == gpu ]]; then VENV_DIR="$REPO_DIR/.venv-gpu"; fi
    VENV_DIR="${VENV_DIR:-$REPO_DIR/.venv}"
    LOCK_FILE="$REPO_DIR/requirements/$DEVICE.lock"
    [[ -f "$LOCK_FILE" ]] || fail "$LOCK_FILE is missing: restore it with git or make it with requirements/compile.sh."
}

# What training on this node's GPUs needs besides the lock; told before anything is installed or started.
check_driver() {
    local version
    command -v nvidia-smi >/dev/null || return 0 # left to the doctor
    ask_smi --query-gpu=driver_version --format=csv,noheader || true
    version="${SAID%%$'\n'*}"
    if [[ ! "$version" =~ ^[0-9]+\. ]]; then return 0; fi # an unknown answer is left to the doctor
    ((${version%%.*} >= LEAST_DRIVER)) \
        || fail "$(uname -n): the NVIDIA driver is $version, and requirements/gpu.lock (CUDA 13) needs $LEAST_DRIVER or newer:" \
            "update the driver on this node."
}

# Triton compiles a launcher for each kernel at run time: a C compiler and Python's headers on every node.
check_compiler() {
    local compiler header
    compiler="$(command -v "${CC:-gcc}" || command -v clang || true)"
    [[ -n "$compiler" ]] || fail "$(uname -n): no C compiler, which Triton needs at run time: install gcc (Debian: apt install gcc)."
    header="$("$VENV_DIR/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h"
    [[ -f "$header" ]] \
        || fail "$(uname -n): $header is missing, which Triton needs at run time: install Python's headers (Debian: apt install python3-dev)."
}

# The repository's own path belongs to the stamp because the editable install points to it.
wanted_stamp() {
    local hash
    hash="$({ printf '%s\n' "$REPO_DIR"; cat "$LOCK_FILE" "$REPO_DIR/pyproject.toml"; } | sha256sum)"
    printf '%s %s\n' "$DEVICE" "${hash%% *}"
}

is_current() { [[ -x "$VENV_DIR/bin/python" && -f "$VENV_DIR/.stamp" && "$(<"$VENV_DIR/.stamp")" == "$(wanted_stamp)" ]]; }

# --- uv and python ----------------------------------------------------------------------------------------------------

find_uv() {
    local candidate
    for candidate in "$(command -v uv || true)" "${HOME:-}/.local/bin/uv" "${HOME:-}/.cargo/bin/uv" \
        "$REPO_DIR/.venv-tools/bin/uv" "$VENV_DIR/.uv/bin/uv" "$REPO_DIR/.venv/.uv/bin/uv"; do
        if [[ -x "$candidate" ]] && "$candidate" --version >/dev/null 2>&1; then
            UV="$candidate"
            return 0
        fi
    done
    return 1
}

# A private environment for uv works with an externally managed python; where the ensurepip module is missing as well
# (Debian without python3-venv), pip's --target touches nothing of the system's either.
install_uv() {
    command -v python3 >/dev/null || fail "neither uv nor python3 is on PATH: install Python 3.11 (or uv) and run this again."
    note "uv is not installed; putting it into $VENV_DIR/.uv"
    { python3 -m venv "$VENV_DIR/.uv" && "$VENV_DIR/.uv/bin/python" -m pip install --quiet uv; } >&2 \
        || python3 -m pip install --quiet --target "$VENV_DIR/.uv" --upgrade uv >&2 \
        || fail "uv could not be installed (pip's message is above): check the network and pip's index settings, on Debian" \
            "also 'apt install python3-venv', or install uv yourself (https://docs.astral.sh/uv)."
    find_uv || fail "uv was installed into $VENV_DIR/.uv but does not run: remove that folder and install uv yourself."
}

# One value of pip's configuration files, or nothing. `pip config get` sees only one of the files, `list` all of them.
pip_setting() {
    local python
    for python in python3 "$VENV_DIR/.uv/bin/python"; do
        if "$python" -m pip --version &>/dev/null; then
            "$python" -m pip config list 2>/dev/null | sed -n "s/^global\\.$1='\\(.*\\)'\$/\\1/p"
            return
        fi
    done
}

# uv does not read pip's configuration; who has set a mirror or a certificate for pip only means it for this as well.
take_over_pip_settings() {
    if [[ -f "${XDG_CONFIG_HOME:-${HOME:-}/.config}/uv/uv.toml" || -f /etc/uv/uv.toml || -n "${UV_CONFIG_FILE:-}" ]]; then return; fi
    if [[ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}${UV_NO_INDEX:-}" ]]; then
        UV_DEFAULT_INDEX="${PIP_INDEX_URL:-$(pip_setting index-url)}"
        if [[ -n "$UV_DEFAULT_INDEX" ]]; then export UV_DEFAULT_INDEX; else unset UV_DEFAULT_INDEX; fi
    fi
    if [[ -z "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}${UV_SYSTEM_CERTS:-}${UV_NATIVE_TLS:-}" ]]; then
        SSL_CERT_FILE="${PIP_CERT:-$(pip_setting cert)}"
        if [[ -n "$SSL_CERT_FILE" ]]; then export SSL_CERT_FILE; else unset SSL_CERT_FILE; fi
    fi
}

python_fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

make_venv() {
    python_fits "$VENV_DIR/bin/python" && return
    local version
    for version in 3.11 3.12; do
        "$UV" venv --quiet --no-python-downloads --allow-existing --python "$version" "$VENV_DIR" &>/dev/null && return
    done
    note "no Python 3.11 or 3.12 on this machine; asking uv to download one"
    "$UV" venv --quiet --allow-existing --python 3.11 "$VENV_DIR" >&2 \
        || fail "no Python 3.11 or 3.12 was found and uv could not download one (its message is above):" \
            "install python3.11, or put one on PATH."
}

# --- installing -------------------------------------------------------------------------------------------------------

# The stamp goes first and comes back last: whatever is killed in between is done again by the next call.
install_environment() {
    rm -f "$VENV_DIR/.stamp"
    find_uv || install_uv
    take_over_pip_settings
    make_venv
    note "installing requirements/$DEVICE.lock into $VENV_DIR (some minutes the first time)"
    export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"
    "$UV" pip sync --quiet --python "$VENV_DIR/bin/python" --require-hashes "$LOCK_FILE" >&2 \
        || fail "requirements/$DEVICE.lock could not be installed (uv's message is above): check the network, the index" \
            "settings of uv or pip and the free disk space, then run this again; it goes on where it stopped."
    "$UV" pip install --quiet --python "$VENV_DIR/bin/python" --no-deps --no-build-isolation --editable "$REPO_DIR" >&2 \
        || fail "the package could not be installed from $REPO_DIR (uv's message is above)."
    # Else the first import of each framework takes a minute. Not uv's own compiling: that does everything again at
    # each change. Some packages bring files for other Pythons, which do not compile.
    PYTHONWARNINGS=ignore "$VENV_DIR/bin/python" -m compileall -qq -j 0 "$VENV_DIR/lib" || true
    wanted_stamp >"$VENV_DIR/.stamp.new"
    mv "$VENV_DIR/.stamp.new" "$VENV_DIR/.stamp"
}

# Several nodes of a shared file system may come here at once: the first installs, the others wait and find it done.
# The lock has a name of its own: DIR/.lock is the one that uv itself takes, and would wait for.
install_once() (
    local code=0
    [[ -z "$(ls -A "$VENV_DIR" 2>/dev/null)" || -e "$VENV_DIR/pyvenv.cfg" || -e "$VENV_DIR/.launch.lock" ]] \
        || fail "FUNREASON_VENV is $VENV_DIR, which holds other files: name a new or an empty folder."
    mkdir -p "$VENV_DIR" 2>/dev/null || fail "the folder $VENV_DIR cannot be made: choose another with FUNREASON_VENV."
    command -v flock >/dev/null || fail "the command flock is missing: install util-linux."
    exec 9>"$VENV_DIR/.launch.lock" || fail "$VENV_DIR cannot be written: choose another folder with FUNREASON_VENV."
    flock --nonblock --conflict-exit-code 75 9 2>/dev/null || code=$?
    if ((code == 75)); then
        note "another process is installing into $VENV_DIR; waiting for it"
        flock --timeout 1800 9 || fail "$VENV_DIR/.launch.lock could not be taken within 30 minutes: end the process that holds it" \
            "(fuser $VENV_DIR/.launch.lock), then run this again."
    elif ((code != 0)); then
        note "$VENV_DIR lies on a file system without locks (Lustre without -o flock, some NFS); a folder guards it instead"
        guard_with_folder
    fi
    is_current || install_environment
)

# Where flock does not work: making a folder is atomic everywhere. One that nobody touched for 30 minutes is left over.
guard_with_folder() {
    local guard="$VENV_DIR/.launch.busy" told=""
    until mkdir "$guard" 2>/dev/null; do
        if [[ -n "$(find "$guard" -maxdepth 0 -mmin +30 2>/dev/null)" ]]; then rmdir "$guard" 2>/dev/null || true; fi
        [[ -n "$told" ]] || note "another process is installing into $VENV_DIR; waiting for it"
        told=yes
        sleep "${FUNREASON_POLL_SECONDS:-2}"
    done
    # shellcheck disable=SC2064 # the folder as it is now
    trap "rmdir '$guard'" EXIT
}

# Where the environment was not made here, it may not be on PATH.
find_command() {
    command -v funreason-train >/dev/null \
        || fail "$(uname -n): there is no command funreason-train on PATH, and FUNREASON_BOOTSTRAP=skip installs none: activate the" \
            "environment that holds it, or unset FUNREASON_BOOTSTRAP."
}

bootstrap() {
    [[ "${FUNREASON_BOOTSTRAP:-}" != skip ]] || return 0
    unset UV_SYSTEM_PYTHON PYTHONHOME
    choose_device
    if [[ "$DEVICE" == gpu ]] && has_gpu; then check_driver; fi
    is_current || install_once || exit $?
    if [[ "$DEVICE" == gpu ]] && has_gpu; then check_compiler; fi
    export VIRTUAL_ENV="$VENV_DIR" PATH="$VENV_DIR/bin:$PATH"
}

bootstrap
