#!/usr/bin/env bash
# What a batch file does once it knows its launch script: starts it on every node of the job, passes a request to save
# on, and puts the job back into the queue when the run has saved and stopped.
#   source launch/lib_slurm.sh; run_step SCRIPT [KEY=VALUE ...]

run_step() {
    local script="$1" step again=yes code=0
    shift
    if [[ -z "${SLURM_JOB_ID:-}${SLURM_JOB_NODELIST:-}" ]] || ! command -v srun >/dev/null; then
        echo "Error: this is a batch file of SLURM: submit it with sbatch; without SLURM, $script is run on every node." >&2
        exit 2
    fi
    # When its time is nearly up, or its place is wanted by another, the run is asked to save and to end; then the job goes
    # back into the queue and continues. A file carries the request: a signal would end Ray's own processes.
    export FUNREASON_STOP_FILE="$PWD/.funreason-stop.${SLURM_JOB_ID:-$$}"
    rm -f "$FUNREASON_STOP_FILE" "$FUNREASON_STOP_FILE.saved"
    # srun does not take --cpus-per-task over from sbatch by itself; without it every node would get one core.
    srun --kill-on-bad-exit=1 --label --cpus-per-task="${SLURM_CPUS_PER_TASK:-64}" bash "$script" "$@" &
    step=$!
    trap 'again=yes; : >"$FUNREASON_STOP_FILE"' USR1
    trap 'again=yes; kill -TERM "$step" 2>/dev/null || true' TERM INT
    while [[ -n "$again" ]]; do # a signal ends the wait and not the step
        again="" code=0
        wait "$step" || code=$?
    done
    # srun's own code is the highest of all nodes', and those that follow are ended when the first one leaves.
    if [[ -e "$FUNREASON_STOP_FILE.saved" ]]; then
        echo "The run has saved and stopped; the job goes back into the queue."
        rm -f "$FUNREASON_STOP_FILE" "$FUNREASON_STOP_FILE.saved"
        scontrol requeue "$SLURM_JOB_ID"
        exit 75
    fi
    rm -f "$FUNREASON_STOP_FILE"
    exit "$code"
}
