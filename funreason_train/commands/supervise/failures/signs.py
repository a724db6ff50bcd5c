"""The words by which failures are known: CUDA's, NCCL's, gloo's, Ray's, vLLM's, the kernel's, SLURM's, ours.

The first sign that fits a line decides, so the order matters: what says why stands before what says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .kinds import (
    CONFIGURATION,
    DATA,
    DEVICE,
    DISK,
    ENVIRONMENT,
    MEMORY,
    NETWORK,
    NODE_LOST,
    REWARD,
    UNKNOWN,
    Again,
    Kind,
)

#: What a line tells: why it ended, that others have gone, or that everything is being put away.
ROOT, CASCADE, TEARDOWN = "root", "cascade", "teardown"


@dataclass(frozen=True)
class Sign:
    """Words by which a failure is known.

    Attributes:
        kind: Of the failure.
        role: `ROOT`, `CASCADE` or `TEARDOWN`.
        pattern: The words, searched in one line.
        fix: What helps with just this one; None: what helps with its kind.
        strong: It is what it says wherever it stands, in a traceback of whatever code.
        again: Whether a new start helps with just this one; None: as with its kind.
    """

    kind: Kind
    role: str
    pattern: re.Pattern[str]
    fix: str | None = None
    strong: bool = False
    again: Again | None = None

    def fits(self, text: str) -> bool:
        """Whether the words are in the line."""
        return self.pattern.search(text) is not None


def _sign(
    kind: Kind,
    words: Iterable[str],
    role: str = ROOT,
    fix: str | None = None,
    strong: bool = False,
    again: Again | None = None,
) -> Sign:
    return Sign(kind, role, re.compile("|".join(words)), fix, strong, again)


_TEARDOWN = _sign(
    UNKNOWN,
    (
        "leaked (?:semaphore|shared_memory|file)",
        r"destroy_process_group\(\) was not called",
        "NCCL communicator hasn't been destroyed",
        "Exception ignored in",
        "Task was destroyed but it is pending",
        "Unclosed (?:client session|connector)",
        "Event loop is closed",
        "Sending process \\d+ closing signal",
        "Received (?:SIG)?(?:TERM|INT) death signal",
        "SIGTERM handler is called",
        r"^KeyboardInterrupt\b",
        "shutting down executor|[Ss]hutting down (?:Ray|the engine|gracefully|FastAPI)",
        "cannot schedule new futures after (?:interpreter )?shutdown",
        "Error in sys.excepthook|Error in atexit",
        "Killing subprocess \\d+",
        "interpreter shutdown",
        "slurmstepd: error: \\*\\*\\* STEP .* CANCELLED AT [^ ]+ \\*\\*\\*",
        "srun: (?:Terminating|Force Terminated) ",
        "Received graceful shutdown|Terminating (?:all )?(?:workers|actors|child processes)",
    ),
    TEARDOWN,
)
_SHARED_MEMORY = _sign(
    MEMORY,
    (
        r"out of shared memory|insufficient shared memory",
        r"unable to (?:write to|mmap|open|allocate|resize).*(?:torch_|shared memory|/dev/shm)",
        "ObjectStoreFullError|[Oo]bject store is full of objects|plasma store is full",
        r"killed by signal: Bus error|Bus error \(core dumped\)",
    ),
    fix="Shared memory (/dev/shm) is full: give the container more (--shm-size), use fewer data loader "
    "workers, or a smaller object store (--object-store-memory in FUNREASON_RAY_ARGS).",
    strong=True,
)
_DISK = _sign(
    DISK,
    (
        r"No space left on device|ENOSPC|\[Errno 28\]",
        r"Disk quota exceeded|EDQUOT|\[Errno 122\]",
        r"Read-only file system|\[Errno 30\]",
        r"OutOfDiskError|over capacity \(95%|running out of disk|over 9\d(?:\.\d+)?% full",
        r"PytorchStreamWriter failed|inline_container.*unexpected pos",
        r"file write failed|EXT4-fs error|XFS \(\S+\): .*(?:[Ss]hut ?down|error)|I/O error, dev",
        r"the run directory cannot be written|disk is full|ephemeral[- ](?:local )?storage",
    ),
    strong=True,
)
_SHARE = _sign(
    DISK,
    (
        r"Input/output error|\[Errno 5\]|Stale (?:NFS )?file handle|\[Errno 116\]",
        r"Transport endpoint is not connected: '|nfs: server \S+ not responding",
    ),
    fix="A shared file system went away for a moment: see that it answers and is mounted on every node.",
    strong=True,
    again=Again.ONCE,
)
_GPU_MEMORY = _sign(
    MEMORY,
    (
        r"(?:CUDA|HIP|XPU)(?: driver)?(?: error)?\]?:? out of memory|OutOfMemoryError: (?:CUDA|HIP)",
        "CUBLAS_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation",
        "CUDA_ERROR_OUT_OF_MEMORY|(?i:cuda failure).*out of memory",
        r"would exceed allowed memory",
    ),
    fix="A GPU ran out of memory: use fewer tokens or samples a pass (rl.tokens_per_pass, "
    "rl.samples_per_pass, sft.per_device_batch), or a smaller share for the rollout engine "
    "(rl.rollout.memory).",
    strong=True,
)
_CACHE_MEMORY = _sign(
    MEMORY,
    (
        "No available memory for the cache blocks|KV cache is needed|available KV cache memory",
        "[Ff]ree memory on device.*less than desired|not enough GPU memory available to serve",
    ),
    fix="The rollout engine has too little memory for its cache: give it a larger share "
    "(rl.rollout.memory), or shorter prompts and responses.",
    strong=True,
)
_HOST_MEMORY = _sign(
    MEMORY,
    (
        "memory pressure|low on memory|(?i:oom[-_ ]?kill)|Out of memory: Kill|Memory cgroup out of memory",
        r"Cannot allocate memory|\[Errno 12\]|MemoryError|bad_alloc|not enough memory|can't allocate memory",
        r"OutOfMemoryError|OOM Killed|[Ee]xceeded (?:job|step) memory limit|OUT_OF_MEMORY|OOMKilled",
        "low on resource: memory",
        r"^Killed$|(?:line \d+:|: +)\s*\d+ Killed\b|killed by signal: Killed",
        r"terminated with signal SIGKILL|Signal 9 \(SIGKILL\) received by PID",
    ),
    fix="The machine ran out of memory: use fewer processes on it, or shorter and fewer samples at once.",
    strong=True,
)
_NODE_LOST = _sign(
    NODE_LOST,
    (
        "missed too many heartbeats|health check failed|Health check failed for node",
        r"NodeDiedError|(?i:its node has died|the node (?:it was running on|has died))",
        r"node failure\b|died because its node",
        "LocalRayletDiedError|[Rr]aylet (?:process )?(?:has )?(?:died|exited|crashed)",
        "raylet .*(?:terminated|crashed)",
        r"DUE TO NODE FAILURE|[Nn]ode failure on|NODE_FAIL",
        r"Node .* (?:is )?not responding|no longer responding|node .* unexpectedly rebooted",
        "Failed to connect to (?:the )?GCS",
        "GCS (?:server )?(?:is|has) (?:not reachable|unreachable|died|down)|lost contact with the head",
        "NodeNotReady|Node is not ready",
        "PreemptionError|(?i:\\bpreempted\\b|due to preemption)",
        "instance (?:is being )?terminated|is draining",
        r"Ray has ended on this node|Ray's head has ended|the head is gone",
        "nodes did not (?:join|come back)|A node .* (?:was|has been) lost",
        "nodes are missing|no Ray cluster answers|node timed out during startup",
    ),
    strong=True,
)
#: Ray's guess at the reasons speaks of the OOM killer; what it knows is that the machine's Ray has gone.
_RAYLET = _sign(NODE_LOST, ("Raylet is terminated",), strong=True)
#: It looks like the device's fault, and no new start changes it.
_DRIVER = _sign(
    CONFIGURATION,
    (
        "CUDA driver version is insufficient|NVIDIA driver on your system is too old",
        "no kernel image is available|PTX was compiled with an unsupported|unsupported (?:PTX|toolchain)",
    ),
    fix="The driver or the GPU is older than this torch needs: `funreason-train doctor` names the versions.",
    strong=True,
)
_LIMITS = _sign(
    CONFIGURATION,
    (
        r"Too many open files|\[Errno 24\]|EMFILE",
        "can't start new thread|pthread_create failed|fork: (?:retry: )?Resource temporarily unavailable",
    ),
    fix="A limit of this machine for one user: raise it where the job starts (`ulimit -n 65536`, "
    "`ulimit -u 65536`; a container's --pids-limit).",
    strong=True,
)
_DEVICE = _sign(
    DEVICE,
    (
        r"Xid \(PCI|NVRM: |uncorrectable ECC|(?i:double.bit ECC)",
        r"ECC error|fallen off the bus|GPU is lost|Row.?Remap",
        "CUDA error: (?!out of memory)|CUDA driver error: (?!out of memory)|CUDA unknown error",
        "(?i:cuda failure)|Unexpected error from cudaGetDeviceCount|system not yet initialized",
        "CUDA-capable device|cudaError(?!MemoryAllocation)[A-Z]",
        "CUBLAS_STATUS_(?!ALLOC_FAILED)|CUDNN_STATUS_|CUSPARSE_STATUS_|cuDNN error",
        "No CUDA GPUs are available|Unable to determine the device handle",
        "Failed to initialize NVML|NVMLError|NVML: ",
        "Driver/library version mismatch|NVIDIA-SMI has failed",
        "NVLink.*(?:[Ee]rror|[Ff]atal)|NVSwitch.*(?:[Ee]rror|[Ff]atal)",
        "Floating point exception|illegal memory access",
        "device-side assert|Fabric Manager|ncclUnhandledCudaError|ECC_ERROR|thermal (?:shutdown|violation)",
    ),
    strong=True,
)
_PORT = _sign(
    NETWORK,
    ("(?i:address already in use)|EADDRINUSE",),
    fix="Another process uses the port, often one of an earlier run that has not ended yet.",
)
_NETWORK = _sign(
    NETWORK,
    (
        "Name or service not known|name resolution|nodename nor servname|getaddrinfo|NameResolutionError",
        "No route to host|Network is (?:unreachable|down)|Connection timed out|ConnectTimeout|ReadTimeout",
        r"NCCL WARN.*(?:socket|Connect|timed out|NET/|ibv_|IB )",
        r"ibv_\w+ failed|NET/IB ?: |Got completion from peer",
        "connectFullMesh failed|[Uu]nable to find (?:interface|address)",
        "no (?:such )?interface|Bootstrap : no socket interface",
        "client socket has timed out|DistStoreError",
        "failed to connect to .*(?:store|master)|EHOSTUNREACH|ENETUNREACH",
        "SSLError|ProxyError|MaxRetryError|APIConnectionError",
        "LocalEntryNotFoundError|Link (?:is )?down|link flap",
    ),
)
_LOST_PEER = _sign(
    NETWORK,
    (
        "[Ww]atchdog caught collective operation timeout",
        "watchdog got stuck|NCCL timeout|ncclRemoteError|ncclSystemError",
        "Some NCCL operations have failed or timed out",
        "taking the entire process down|communicator was aborted",
        "closed by peer|[Cc]onnection reset|[Bb]roken pipe",
        "Socket closed|recvValue failed|got 0 bytes|Connection refused",
        r"Timed out waiting \d+ ?ms|[Ww]ait timeout|Socket Timeout",
        r"DistBackendError|DistNetworkError|monitoredBarrier",
        "[Hh]eartbeat monitor|ServerDisconnected|RpcError|rpc_code",
        "failed to connect to all addresses|GetTimeoutError",
        "WorkerGroupStartupTimeoutError|NCCLHangError|NCCL error in|TCPStore",
    ),
    CASCADE,
)
_DEAD_PROCESS = _sign(
    UNKNOWN,
    (
        "ActorDiedError|ActorUnavailableError|RayActorError",
        "RayTaskError|WorkerCrashedError|ObjectLostError|OwnerDiedError",
        "EngineDeadError|engine core exited unexpectedly",
        "EngineCore encountered|output_handler failed|Failed core proc",
        r"DataLoader worker \(pid.*(?:exited unexpectedly|is killed by signal)",
        "died unexpectedly|A worker died or was killed|ActorPlacementGroupRemoved|TaskCancelledError",
        "WorkerGroupError|TrainingFailedError|ControllerError",
        "ChildFailedError|See (?:stack trace|root cause)",
        r"replica \d+ ended with code|prompts could not be made",
        r"no materializable trajectories|CalledProcessError",
        "cannot pickle|exited with (?:non-zero )?(?:exit )?(?:code|status)|failed \\(exitcode",
    ),
    CASCADE,
    fix="A process was killed or crashed without a message; `dmesg` tells if the kernel did it to free "
    "memory.",
)
#: What this project itself says when a share has passed its limit.
_OUR_ENVIRONMENTS = _sign(ENVIRONMENT, ("environment_faults",), strong=True)
_OUR_REWARD = _sign(REWARD, ("reward_errors",), strong=True)
_ENVIRONMENT = _sign(
    ENVIRONMENT,
    (
        r"the (?:MCP )?server \S+ (?:is gone|gave no answer|could not|did not)|MCP server|McpError|mcp\.",
        "[Ss]andbox|bwrap:|unshare(?:\\(|:)|seccomp|setns|pivot_root|landlock|docker|containerd?\\b|podman",
        "the environment itself failed|environments? (?:has |have )?failed",
        "the process that executes the calls ended|chrome|playwright",
    ),
)
#: The sandbox's own program prints nothing else.
_BWRAP = _sign(ENVIRONMENT, ("^bwrap: ",), strong=True)
_REWARD = _sign(
    REWARD,
    (
        "reward function|rewards? (?:of|for) |compute_score|RewardLoop|reward model (?:server|endpoint)",
        "no score|not a (?:finite )?score|score is (?:nan|not)|reward/error",
    ),
)
#: After those whose servers these are.
_SERVER = _sign(
    NETWORK,
    (
        r"\b(?:429 Client|5\d\d Server) Error|Error code: (?:429|5\d\d)|Too Many Requests|RateLimitError",
        "APITimeoutError|IncompleteRead|ChunkedEncodingError|Consistency check failed: file should",
    ),
    fix="A server is busy or cut the connection; with a token of your own (HF_TOKEN) a hub allows more.",
)
_DATA = _sign(
    DATA,
    (
        "JSONDecodeError|UnicodeDecodeError",
        "Arrow(?:Invalid|TypeError|NotImplementedError)|[Pp]arquet|DatasetGeneration",
        "Couldn't cast|CastError|DataFilesNotFoundError",
        "dataset_info|columns? .* (?:not in|missing)|no column",
        r"a prompt has \d+ tokens|longer than",
        r"(?:sequence|prompt) length .* (?:exceeds|is longer)|row \d+ |line \d+ column",
        "SafetensorError|HeaderTooLarge|MetadataIncomplete",
        "PytorchStreamReader|UnpicklingError|invalid load key|corrupt",
        "Cannot find valid samples|Dataset .* (?:is empty|not found)",
        "num_samples=0|index out of range in self|EOFError|Compressed file ended",
        r"bad zip|[Nn]ot a gzip|Truncated|zlib\.error|LZMAError",
        "roles? .*alternat|conversation.* must|chat template .* (?:raised|failed)|TemplateError",
    ),
)
_CONFIGURATION = _sign(
    CONFIGURATION,
    (
        "Config(?:Key|Attribute|Value|Type|Index|Composition)\\w*(?:Error|Exception)",
        "MissingConfigException|OverrideParse",
        "Interpolation\\w+Error|MissingMandatoryValue|ValidationError",
        "is not in struct|hydra\\.errors|omegaconf\\.errors",
        "unrecognized arguments|unexpected keyword argument",
        "(?:must be|is not|not) divisible|Some keys are not used",
        "ModuleNotFoundError|ImportError|No module named|undefined symbol|cannot open shared object|GLIBC",
        r"Version mismatch: The cluster was started|operator \S+ does not exist|Operation not permitted",
        "RepositoryNotFound|GatedRepo|access a (?:gated|private) repo|HFValidationError",
        "does not appear to have a file named|[Uu]nrecognized model",
        "Can't load (?:tokenizer|the (?:model|configuration))",
        "has model type|trust_remote_code|InstantiationException",
        r"Permission denied|\[Errno 13\]|FileNotFoundError|No such file",
        r"NotADirectory|command not found|40[134] Client|Unauthorized|(?:Entry|Revision)NotFoundError",
        "AuthenticationError|PermissionDeniedError|api_key not configured|Error code: 40[134]",
        "chat_template is not set|max_model_len .* is greater|is less than total desired",
        r"AttributeError: (?:partially .*)?module '|PicklingError|Can't (?:pickle|get local object)",
        "Failed to find C compiler|BlockingIOError|Error\\(s\\) in loading state_dict|OutOfResources",
        "[Uu]nknown (?:argument|key|option|setting)|invalid (?:choice|value)",
        "not supported|not installed|size mismatch for|NotImplementedError",
        "was made with different settings|is not a setting|AssertionError: .*(?:must|should|config|%)",
    ),
)
#: In the order in which they are tried.
SIGNS = (
    *(
        _TEARDOWN,
        _SHARED_MEMORY,
        _SHARE,
        _DISK,
        _GPU_MEMORY,
        _CACHE_MEMORY,
        _RAYLET,
        _HOST_MEMORY,
        _NODE_LOST,
    ),
    *(_DRIVER, _LIMITS, _DEVICE),
    *(_PORT, _NETWORK, _LOST_PEER, _DEAD_PROCESS, _OUR_ENVIRONMENTS, _OUR_REWARD),
    *(_BWRAP, _ENVIRONMENT, _REWARD, _SERVER, _DATA, _CONFIGURATION),
)
#: The line is worth a closer look.
ANY = re.compile("|".join(f"(?:{sign.pattern.pattern})" for sign in SIGNS))


def sign_of(text: str) -> Sign | None:
    """The first sign that fits a line."""
    return next((sign for sign in SIGNS if sign.fits(text)), None) if ANY.search(text) else None
