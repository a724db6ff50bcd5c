#!/usr/bin/env bash
# One Ray cluster for one stage, made by running the same script on every node (needs launch/bootstrap.sh before it).
# Rank 0 starts the head, waits for the others, drives the stage and ends the cluster; the others lend their machine
# until the head is gone. Only processes started here are ended, by their process group.
#
# Which node this is:
#   under srun        from SLURM's own variables (one task a node)
#   otherwise         NNODES, NODE_RANK (0 = head) and HEAD_ADDR (name or address of rank 0's machine)
#   RAY_ADDRESS       a cluster that runs already: only drive the stage on it, start nothing
# Settings, the same on all nodes:
#   FUNREASON_RAY_PORT      6388   port of the head
#   FUNREASON_RAY_TEMP             Ray's folder for sockets and logs (Ray's default: /tmp/ray)
#   FUNREASON_RAY_ARGS             more arguments for `ray start`, such as "--min-worker-port=20000"
#   FUNREASON_WAIT_SECONDS  900    how long nodes wait for each other
#   FUNREASON_HEAD_PATIENCE 30     how long a worker goes on without an answer from the head, in seconds
#   FUNREASON_JOIN_SECONDS  120    a Ray that ends sooner had not joined yet
#   RAY_AUTH_TOKEN                 a secret that admits nodes and drivers; without it anyone who reaches the head's port can
#                                  run code there. The batch files make one for each job.
#   FUNREASON_STOP_FILE            a file whose appearance asks the run to save and to end with code 75 ("continue me"); SIGUSR1 to
#                                  rank 0's script does as well
#   FUNREASON_PASS_ENV             names of further environment variables for the workers, "A,B"
#   FUNREASON_NODE_IP              this node's own address, where the route to the head does not tell it
#   NCCL_SOCKET_IFNAME, GLOO_SOCKET_IFNAME   the interface, where the route to the head is not the right one

RAY_PORT="${FUNREASON_RAY_PORT:-6388}"
WAIT_SECONDS="${FUNREASON_WAIT_SECONDS:-900}"
HEAD_PATIENCE="${FUNREASON_HEAD_PATIENCE:-30}"
POLL_SECONDS="${FUNREASON_POLL_SECONDS:-2}"
STOP_SECONDS=20
JOIN_SECONDS="${FUNREASON_JOIN_SECONDS:-120}"
REJOINS=10 # how often a node comes back whose Ray has ended

RAY_PID=""    # process group of our `ray start --block`
DRIVER_PID="" # process group of the stage, or of what waits for the nodes

# --- who is who -------------------------------------------------------------------------------------------------------

is_number() { [[ "$1" =~ ^(0|[1-9][0-9]{0,8})$ ]]; }

# A setting that is no number would end a loop of ours in the words of bash, minutes later.
check_settings() {
    local name
    for name in FUNREASON_RAY_PORT FUNREASON_WAIT_SECONDS FUNREASON_HEAD_PATIENCE FUNREASON_JOIN_SECONDS; do
        if [[ -n "${!name:-}" ]] && ! is_number "${!name}"; then fail "$name is '${!name}': set it to a whole number."; fi
    done
    if ((RAY_PORT < 1 || RAY_PORT > 65535)); then fail "FUNREASON_RAY_PORT is $RAY_PORT: ports go from 1 to 65535."; fi
    if ((RAY_PORT > 10000 && RAY_PORT < 20000)) && [[ "${FUNREASON_RAY_ARGS:-}" != *-worker-port* ]]; then
        fail "FUNREASON_RAY_PORT is $RAY_PORT: Ray gives the ports 10001 to 19999 to its workers, so choose one below or above."
    fi
}

check_numbers() {
    { is_number "$NODES" && ((NODES > 0)); } || fail "the number of nodes is '$NODES': set NNODES to a number from 1 on."
    { is_number "$RANK" && ((RANK < NODES)); } \
        || fail "the rank is '$RANK', but $NODES nodes have the ranks 0 ... $((NODES - 1))."
}

# Sets NODES and RANK. NODE_RANK goes before SLURM's variables: it is what someone set by hand.
read_rank() {
    NODES="${NNODES:-${SLURM_STEP_NUM_NODES:-${SLURM_JOB_NUM_NODES:-${SLURM_NNODES:-1}}}}"
    RANK="${NODE_RANK:-${SLURM_NODEID:-${SLURM_PROCID:-}}}"
    # Each part of such a job counts its nodes, ranks and hosts by itself.
    [[ "${SLURM_HET_SIZE:-1}" == [01] || (-n "${NNODES:-}" && -n "${NODE_RANK:-}" && -n "${HEAD_ADDR:-}") || "${NNODES:-}" == 1 ]] \
        || fail "$(uname -n): SLURM's job is heterogeneous, of $SLURM_HET_SIZE parts that count their nodes apart: ask for nodes of" \
            "one kind, or set NNODES, NODE_RANK and HEAD_ADDR."
    if [[ -z "$RANK" ]]; then
        [[ "$NODES" == [01] ]] || ! is_number "$NODES" \
            || fail "$NODES nodes, but this one's rank is unknown: start the script with srun (one task a node), or set" \
                "NODE_RANK to 0 ... $((NODES - 1))."
        RANK=0
    fi
    check_numbers
    # A batch file of one's own has the job's variables as well; only srun adds those of a step.
    [[ "$NODES" == 1 || -n "${NNODES:-}${NODE_RANK:-}${SLURM_STEP_NUM_NODES:-}${SLURM_STEP_NODELIST:-}" ]] \
        || fail "$(uname -n): SLURM's job has $NODES nodes, and this script was started on one of them alone:" \
            "start it with srun --ntasks-per-node=1 (launch/slurm shows how), or set NNODES, NODE_RANK and HEAD_ADDR."
    [[ -n "${NODE_RANK:-}" || "${SLURM_LOCALID:-0}" == 0 ]] \
        || fail "SLURM runs several tasks on this node: use --ntasks-per-node=1; Ray spreads the work over the GPUs."
}

# The job's host names in the order of their ranks, one a line; nothing outside SLURM. scontrol unfolds every form of
# the list ("node7", "node[07-10,12]").
slurm_hosts() {
    local list="${SLURM_STEP_NODELIST:-${SLURM_JOB_NODELIST:-${SLURM_NODELIST:-}}}"
    [[ -z "$list" ]] || scontrol show hostnames "$list" 2>/dev/null
}

read_head() {
    HOSTS="$(slurm_hosts)" || HOSTS="" # in a container there is no scontrol
    [[ -n "${HEAD_ADDR:-}$HOSTS" || -z "${SLURM_JOB_ID:-}${SLURM_JOB_NODELIST:-}" ]] \
        || fail "$(uname -n): scontrol could not name the job's nodes: set HEAD_ADDR to the address of rank 0's machine."
    # The head would be looked for on a machine where the script was not started.
    [[ -n "${HEAD_ADDR:-}" || -z "$HOSTS" || "$(wc -l <<<"$HOSTS")" == "$NODES" ]] \
        || fail "$(uname -n): SLURM names other nodes (${HOSTS//$'\n'/, }) than the $NODES that are counted here: set HEAD_ADDR to the" \
            "address of rank 0's machine."
    HEAD="${HEAD_ADDR:-${HOSTS%%$'\n'*}}"
    [[ -n "$HEAD" ]] || fail "$NODES nodes, but no head: set HEAD_ADDR to the address of rank 0's machine, the same on all nodes."
    [[ "$HEAD" != *[!A-Za-z0-9._-]* ]] || fail "HEAD_ADDR is '$HEAD': give the IPv4 address or the name of rank 0's machine" \
        "and nothing else; its port is FUNREASON_RAY_PORT."
}

# --- network ----------------------------------------------------------------------------------------------------------

# Nothing where the name is unknown.
address_of() { getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }' || true; }

# "INTERFACE SOURCE" of the route to an address; the route to one's own address goes by lo, so there the interface that
# holds the address is meant.
route_to() {
    local route interface source
    route="$(ip -o route get "$1" 2>/dev/null)" || return 1
    interface="$(sed -n 's/.* dev \([^ ]*\).*/\1/p' <<<" $route")"
    source="$(sed -n 's/.* src \([^ ]*\).*/\1/p' <<<" $route")"
    if [[ "$interface" == lo ]]; then
        interface="$(ip -o -4 addr show | awk -v address="$1" 'split($4, a, "/") && a[1] == address { print $2; exit }')"
    fi
    [[ -n "$interface" && -n "$source" ]] && printf '%s %s\n' "$interface" "$source"
}

# Sets HEAD_IP, NODE_IP and INTERFACE, the interface towards the head.
read_network() {
    local route="" peer
    HEAD_IP="$(address_of "$HEAD")"
    [[ -n "$HEAD_IP" ]] || fail "the head's name '$HEAD' has no address here: set HEAD_ADDR to its address."
    # A machine's own name is often mapped to loopback in /etc/hosts, where nobody else reaches it.
    if ((RANK == 0)) && [[ "$HEAD_IP" == 127.* && "$HEAD" != 127.* && "$HEAD" != localhost ]]; then
        peer="$(sed -n 2p <<<"$HOSTS")"
        if [[ -z "$peer" ]] || ! route="$(route_to "$(address_of "$peer")")"; then
            fail "'$HEAD' means $HEAD_IP on this machine, which the other nodes cannot reach: set HEAD_ADDR to its address."
        fi
        HEAD_IP="${route#* }"
    fi
    [[ -n "$route" ]] || route="$(route_to "$HEAD_IP")" || true
    if [[ -z "$route${FUNREASON_NODE_IP:-}" ]]; then
        note "the route to $HEAD_IP is unknown (is the command ip there?); NCCL and gloo choose an interface by themselves"
    fi
    NODE_IP="${FUNREASON_NODE_IP:-${route#* }}" INTERFACE="${route% *}"
}

ray_answers() { timeout 5 bash -c "exec 3<>'/dev/tcp/$1/$RAY_PORT'" 2>/dev/null; }
head_answers() { ray_answers "$HEAD_IP"; }

# Said outright on every node: left to itself `ray start` asks for a token wherever ~/.ray/auth_token lies from some
# former run, and the drivers do not bring it.
choose_authentication() {
    local mode=disabled
    if [[ -n "${RAY_AUTH_TOKEN:-}${RAY_AUTH_TOKEN_PATH:-}" ]]; then mode=token; fi
    export RAY_AUTH_MODE="${RAY_AUTH_MODE:-$mode}"
}

# --- processes --------------------------------------------------------------------------------------------------------

# Starts a command (or function) as a process group of its own and sets STARTED to its id.
start_group() {
    set -m
    "$@" &
    STARTED=$!
    set +m
}

# Becomes the command. Should this script be killed outright, the kernel ends the command, so that nothing stays behind.
become() {
    if setpriv --pdeathsig TERM true 2>/dev/null; then exec setpriv --pdeathsig TERM "$@"; fi
    exec "$@"
}

group_lives() { [[ -n "$1" ]] && kill -0 -- "-$1" 2>/dev/null; }

stop_group() {
    local tenths=$((STOP_SECONDS * 10))
    group_lives "$1" || return 0
    kill -TERM -- "-$1" 2>/dev/null || true
    while ((tenths-- > 0)) && group_lives "$1"; do sleep 0.1; done
    kill -KILL -- "-$1" 2>/dev/null || true # gone by itself is as good
}

stop_all() {
    trap '' TERM INT HUP
    stop_group "$DRIVER_PID"
    stop_group "$RAY_PID"
}

# The workers' environment is an allow-list: SLURM's and torchrun's RANK and WORLD_SIZE would mislead the frameworks, and
# a login shell holds secrets that no worker needs. RAY_ADDRESS would make `ray start` join elsewhere.
passes() {
    case ",${FUNREASON_PASS_ENV:-}," in *",$1,"*) return 0 ;; esac
    case "$1" in
        RAY_ADDRESS) return 1 ;;
        PATH | HOME | USER | LOGNAME | SHELL | LANG | LC_* | TZ | TMPDIR | VIRTUAL_ENV | LD_LIBRARY_PATH | LD_PRELOAD) ;;
        PYTHON* | XDG_* | SSL_CERT_* | *_proxy | *_PROXY | CC | CXX | MAX_JOBS | OMP_* | MKL_* | CUDA_* | NVIDIA_*) ;;
        NCCL_* | GLOO_* | UCX_* | TORCH* | PYTORCH_* | TRITON_* | DS_* | VLLM_* | VERL_* | RAY_* | FUNREASON_*) ;;
        HF_* | HUGGINGFACE_* | TRANSFORMERS_* | TOKENIZERS_* | WANDB_* | SWANLAB_* | MLFLOW_*) ;;
        *) return 1 ;;
    esac
}

# Sets RAY_COMMAND for this rank; wait_for_nodes.py knows a node by its name "RANK@HOST".
ray_command() {
    local more=()
    read -ra more <<<"${FUNREASON_RAY_ARGS:-}"
    RAY_COMMAND=(ray start --block --disable-usage-stats "--node-name=$RANK@$(uname -n)")
    if ((RANK == 0)); then RAY_COMMAND+=(--head "--port=$RAY_PORT"); else RAY_COMMAND+=("--address=$HEAD_IP:$RAY_PORT"); fi
    if [[ -n "$NODE_IP" ]]; then RAY_COMMAND+=("--node-ip-address=$NODE_IP"); fi
    if [[ -n "${FUNREASON_RAY_TEMP:-}" ]]; then RAY_COMMAND+=("--temp-dir=$FUNREASON_RAY_TEMP"); fi
    RAY_COMMAND+=(${more[@]+"${more[@]}"})
}

# Ray with the workers' environment, which every process that Ray starts inherits. When a node is told to go the work is
# over, so it need not drain. The interface is each node's own and so is not told to the driver, which would hand it on
# to all nodes; "=" makes NCCL take this very name, else eth1 means eth10 too.
become_ray() {
    local name
    for name in $(compgen -e); do
        passes "$name" || unset "$name"
    done
    export RAY_USAGE_STATS_ENABLED="${RAY_USAGE_STATS_ENABLED:-0}"
    export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="${RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S:-0}"
    if [[ -n "$INTERFACE" ]]; then
        export GLOO_SOCKET_IFNAME="${GLOO_SOCKET_IFNAME:-$INTERFACE}" NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-=$INTERFACE}"
    fi
    become "${RAY_COMMAND[@]}"
}

start_ray() {
    ray_command
    note "rank $RANK of $NODES: ${RAY_COMMAND[*]}"
    start_group become_ray
    RAY_PID=$STARTED
}

# --- rank 0 -----------------------------------------------------------------------------------------------------------

await_head() {
    local deadline=$((SECONDS + WAIT_SECONDS)) elsewhere=""
    until head_answers; do
        group_lives "$RAY_PID" || fail "$(uname -n): Ray's head did not start (its message is above)."
        if [[ -n "$NODE_IP" && "$NODE_IP" != "$HEAD_IP" ]] && ray_answers "$NODE_IP"; then
            elsewhere="${elsewhere:-$((SECONDS + HEAD_PATIENCE))}"
            ((SECONDS < elsewhere)) || fail "$(uname -n): rank 0 runs here, at $NODE_IP, and HEAD_ADDR ($HEAD) leads elsewhere:" \
                "start rank 0 on that machine, or set HEAD_ADDR to $NODE_IP on all nodes."
        fi
        ((SECONDS < deadline)) || fail "Ray's head did not answer on $HEAD_IP:$RAY_PORT within $WAIT_SECONDS s."
        sleep "$POLL_SECONDS"
    done
}

# Runs a command on the cluster and hands its exit code on; without the head it could only hang.
drive() {
    local code=0
    start_group become env "RAY_ADDRESS=$HEAD_IP:$RAY_PORT" "$@"
    DRIVER_PID=$STARTED
    while kill -0 "$DRIVER_PID" 2>/dev/null; do
        if ! group_lives "$RAY_PID"; then
            note "Ray's head has ended while it was needed; its logs are in ${FUNREASON_RAY_TEMP:-/tmp/ray}/session_latest/logs"
            stop_group "$DRIVER_PID"
            return 1
        fi
        sleep "$POLL_SECONDS"
    done
    wait "$DRIVER_PID" || code=$?
    return "$code"
}

lead() {
    local code=0 stage="$1"
    shift
    if head_answers; then
        fail "$(uname -n): port $RAY_PORT of $HEAD_IP is already in use: end what runs there, choose another with FUNREASON_RAY_PORT," \
            "or give this machine another NODE_RANK if rank 0 runs there."
    fi
    start_ray
    await_head
    # shellcheck disable=SC2086 # one word a host
    drive python "$LAUNCH_DIR/wait_for_nodes.py" --nodes "$NODES" --seconds "$WAIT_SECONDS" --hosts ${HOSTS:-} || exit $?
    trap 'kill -USR1 "$DRIVER_PID" 2>/dev/null || true' USR1
    drive funreason-train "$stage" "$@" || code=$?
    note "the stage has ended with code $code; letting the workers go"
    exit "$code"
}

# --- the other ranks --------------------------------------------------------------------------------------------------

# Ends well when the head goes, since only the driver knows whether the work was done; a Ray that ends while the head
# is there is this node's own failure. It tries again: the head may have been only half awake, and a stage that runs under
# supervision is started again once all nodes are back. A node that cannot stay leaves after three tries in a row that
# ended early, or after $REJOINS in all.
follow() {
    local deadline=$((SECONDS + WAIT_SECONDS)) code=0 tries=3 rejoins=$REJOINS started
    until head_answers; do
        ((SECONDS < deadline)) || fail "rank $RANK: no head answered on $HEAD_IP:$RAY_PORT within $WAIT_SECONDS s; does rank 0" \
            "run, with the same FUNREASON_RAY_PORT, and does the network let this port through?"
        sleep "$POLL_SECONDS"
    done
    while ((tries-- > 0)); do
        started=$SECONDS
        start_ray
        deadline=$((SECONDS + HEAD_PATIENCE))
        while group_lives "$RAY_PID"; do
            if head_answers; then
                deadline=$((SECONDS + HEAD_PATIENCE))
            elif ((SECONDS >= deadline)); then
                break
            fi
            sleep "$POLL_SECONDS"
        done
        if group_lives "$RAY_PID" || ! head_answers; then break; fi
        code=0
        wait "$RAY_PID" || code=$?
        if ((SECONDS - started >= JOIN_SECONDS)); then tries=3; fi
        if ((--rejoins < 0 || tries == 0)); then
            note "rank $RANK: Ray has ended on this node while the head goes on (code $code; its message is above)"
            exit $((code == 0 ? 1 : code))
        fi
        if ((tries == 3)); then
            note "rank $RANK: Ray has ended on this node while the head goes on (code $code; its message is above); it joins again"
        else
            note "rank $RANK: Ray could not start on this node (code $code; its message is above); once more"
        fi
        sleep "$POLL_SECONDS"
    done
    note "rank $RANK: the head is gone, leaving"
    exit 0
}

# --- the whole --------------------------------------------------------------------------------------------------------

# True where the arguments only ask for words: help, the composed config, a dry run (the last dry_run= counts).
only_prints() {
    local argument answer=1
    for argument in "$@"; do
        case "${argument,,}" in
            -h | --help | --hydra-help | --cfg | --cfg=* | -c | --info | --info=*) return 0 ;;
            dry_run=true | dry_run=1 | dry_run=yes | dry_run=on | +dry_run=true | ++dry_run=true) answer=0 ;;
            dry_run=* | +dry_run=* | ++dry_run=*) answer=1 ;;
        esac
    done
    return "$answer"
}

# What each node would start, in the very words that start_ray would use.
print_plan() {
    local RANK argument words=""
    for argument in "$@"; do [[ "$argument" == *dry_run=* ]] || words+=" $argument"; done
    HEAD_IP="${HEAD_ADDR:-HEAD_ADDR}" NODE_IP=""
    printf '# every node first: NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME = the interface of the route to the head\n'
    for ((RANK = 0; RANK < NODES; RANK++)); do
        ray_command
        printf '# node %d: %s\n' "$RANK" "${RAY_COMMAND[*]/@$(uname -n)/@HOST}"
    done
    printf '# node 0, once all %d nodes have joined: RAY_ADDRESS=%s:%s funreason-train%s\n' "$NODES" "$HEAD_IP" "$RAY_PORT" "$words"
}

run_on_nodes() {
    local word recipe="" cluster="" supervise="" words=()
    find_command
    # The user's recipe and profile, which come last, take the place of the script's.
    for word in "$@"; do
        case "$word" in
            +recipe=*) recipe="$word" ;;
            cluster=*) cluster="$word" ;;
            supervise=*) supervise="$word" ;;
            *) words+=("$word") ;;
        esac
    done
    ((${#words[@]} > 0)) || fail "which stage? bash launch/stage.sh sft|rl|pipeline [KEY=VALUE ...]"
    # What trains on booked machines is looked after (docs/operating.md), unless the user says otherwise.
    case "${words[0]}" in
        sft | rl | pipeline) supervise="${supervise:-supervise=true}" ;;
    esac
    set -- "${words[0]}" ${recipe:+"$recipe"} ${cluster:+"$cluster"} ${supervise:+"$supervise"} "${words[@]:1}"
    if only_prints "$@"; then
        NODES="${NNODES:-${SLURM_JOB_NUM_NODES:-1}}" RANK="${NODE_RANK:-${SLURM_NODEID:-0}}"
        check_numbers
        if ((RANK > 0)); then exit 0; fi
        if ((NODES > 1)) && [[ -z "${RAY_ADDRESS:-}" ]]; then print_plan "$@"; fi
        exec funreason-train "$@"
    fi
    check_settings
    read_rank
    if [[ -n "${RAY_ADDRESS:-}" ]]; then
        if ((RANK > 0)); then note "rank $RANK: RAY_ADDRESS names a running cluster, rank 0 drives it" && exit 0; fi
        exec funreason-train "$@"
    fi
    # On one machine the stage starts its own Ray, and its own checks speak.
    if ((NODES == 1)); then exec funreason-train "$@"; fi
    trap '' USR1 # a request to save is for the driver alone; Ray would end of it
    trap stop_all EXIT
    trap 'exit 143' TERM
    trap 'exit 130' INT
    trap 'exit 129' HUP
    read_head
    read_network
    choose_authentication
    if ((RANK == 0)); then
        # A mistake in the arguments shall show now, not when all nodes have been collected.
        FUNREASON_NODES="$NODES" funreason-train "$@" dry_run=true >/dev/null || exit $?
        lead "$@"
    fi
    follow
}
