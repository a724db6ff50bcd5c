"""What `sft.llamafactory.*` may hold: every argument of LLaMA-Factory and transformers, sorted one by one.

An argument that a setting of the project decides is refused with that setting's name, so that a value has one
home and the run's records tell the truth. One that would go around a check (tokens, labels, checkpoints, the
training workers) is refused with the reason. The rest only tunes and is passed on. A test compares the table
with the installed versions: an argument that is new there is refused until somebody has sorted it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .installed_keys import known_keys, unknown_keys

#: Argument -> the setting of this project that decides it.
OWNED = {
    "adam_beta2": "sft.adam_beta2",
    "bf16": "sft.precision",
    "cutoff_len": "sft.cutoff_len",
    "data_seed": "sft.seed",
    "dataloader_num_workers": "sft.dataloader_workers",
    "dataset": "sft.dataset",
    "dataset_dir": "sft.data",
    "ddp_timeout": "sft.collective_timeout",
    "deepspeed": "sft.deepspeed",
    "disable_gradient_checkpointing": "sft.gradient_checkpointing",
    "enable_liger_kernel": "sft.liger",
    "eval_dataset": "sft.eval_dataset",
    "eval_steps": "sft.eval_steps",
    "eval_strategy": "sft.eval_steps",
    "finetuning_type": "sft.finetuning_type",
    "flash_attn": "sft.attention",
    "fp16": "sft.precision",
    "gradient_accumulation_steps": "sft.global_batch",
    "gradient_checkpointing": "sft.gradient_checkpointing",
    "learning_rate": "sft.learning_rate",
    "logging_steps": "sft.logging_steps",
    "logging_strategy": "sft.logging_steps",
    "lora_alpha": "sft.lora.alpha",
    "lora_dropout": "sft.lora.dropout",
    "lora_rank": "sft.lora.rank",
    "lora_target": "sft.lora.target",
    "lr_scheduler_type": "sft.schedule",
    "max_grad_norm": "sft.max_grad_norm",
    "max_samples": "data.…",
    "max_steps": "sft.max_steps",
    "mix_strategy": "data.datasets",
    "interleave_probs": "data.datasets",
    "model_name_or_path": "sft.model",
    "model_revision": "sft.model (a local folder of that revision)",
    "neat_packing": "sft.packing",
    "num_train_epochs": "sft.epochs",
    "output_dir": "run_dir",
    "overwrite_output_dir": "restart=sft",
    "packing": "sft.packing",
    "per_device_eval_batch_size": "sft.per_device_eval_batch",
    "per_device_train_batch_size": "sft.per_device_batch",
    "preprocessing_num_workers": "sft.preprocessing_workers",
    "report_to": "sft.report_to",
    "resume_from_checkpoint": "run_dir (a run resumes by itself)",
    "save_steps": "sft.save_steps",
    "save_strategy": "sft.save_steps",
    "save_total_limit": "sft.save_total_limit",
    "seed": "sft.seed",
    "streaming": "sft.data",
    "tokenized_path": "sft.data",
    "train_sampling_strategy": "sft.group_by_length",
    "trust_remote_code": "a local HF folder (remote code is never run)",
    "use_cpu": "cluster.device",
    "use_liger_kernel": "sft.liger",
    "val_size": "data.val_share",
    "warmup_ratio": "sft.warmup_ratio",
    "warmup_steps": "sft.warmup_ratio",
    "weight_decay": "sft.weight_decay",
}

_TOKENS = "the prompt protocol renders every row, so that training shows what rollouts and evaluation show"
_METHOD = (
    "the stage trains with one method, full tuning or LoRA (sft.finetuning_type), and verifies its result"
)
_RECORD = "a run has to be able to continue, and the stage checks its steps, checkpoints and last weights"
_WORKERS = "the training workers, their devices and their precision follow from cluster and sft"
_TRAINS = "the stage trains and does nothing else; `funreason-train eval` evaluates"
_OUTSIDE = "nothing is sent elsewhere by the trainer; sft.report_to names the trackers"

#: Reason -> arguments that are refused for it.
REFUSED: dict[str, tuple[str, ...]] = {
    _TOKENS: (
        "add_special_tokens", "add_tokens", "audio_sampling_rate", "buffer_size", "crop_to_patches",
        "data_shared_file_system", "default_system", "enable_thinking", "ignore_pad_token_for_loss",
        "image_do_pan_and_scan", "image_max_pixels", "image_min_pixels", "init_special_tokens",
        "length_column_name", "mask_history", "media_dir", "new_special_tokens_config", "overwrite_cache",
        "preprocessing_batch_size", "preserve_thinking", "resize_vocab", "split_special_tokens", "template",
        "tool_format", "train_on_prompt", "use_audio_in_video", "use_fast_tokenizer", "video_fps",
        "video_max_pixels", "video_maxlen", "video_min_pixels", "eval_on_each_dataset",
    ),
    _METHOD: (
        "adapter_folder", "adapter_name_or_path", "additional_target", "apollo_layerwise", "apollo_proj",
        "apollo_proj_type", "apollo_rank", "apollo_scale", "apollo_scale_front", "apollo_scale_type",
        "apollo_target", "apollo_update_interval", "badam_mask_mode", "badam_mode", "badam_start_block",
        "badam_switch_interval", "badam_switch_mode", "badam_update_ratio", "badam_verbose",
        "create_new_adapter", "double_quantization", "dpo_label_smoothing", "freeze_extra_modules",
        "freeze_language_model", "freeze_multi_modal_projector", "freeze_trainable_layers",
        "freeze_trainable_modules", "freeze_vision_tower", "galore_layerwise", "galore_proj_type",
        "galore_rank", "galore_scale", "galore_target", "galore_update_interval", "kt_expert_checkpoint_path",
        "kt_lora_expert_intermediate_size", "kt_lora_expert_num", "kt_use_lora_experts", "kt_weight_path",
        "kto_chosen_weight", "kto_rejected_weight", "ld_alpha", "mixture_of_depths", "module_dropout",
        "oft_block_size", "oft_rank", "oft_target", "pissa_convert", "pissa_init", "pissa_iter",
        "ppo_buffer_size", "ppo_epochs", "ppo_score_norm", "ppo_target", "ppo_whiten_rewards",
        "pref_bco_weight", "pref_beta", "pref_ftx", "pref_loss", "quantization_bit",
        "quantization_device_map", "quantization_method", "quantization_type", "ref_model",
        "ref_model_adapters", "ref_model_quantization_bit", "reward_model", "reward_model_adapters",
        "reward_model_quantization_bit", "reward_model_type", "shift_attn", "simpo_gamma", "stage",
        "train_from_scratch", "use_apollo", "use_asft_loss", "asft_alpha", "use_badam", "use_galore",
        "use_kt", "use_llama_pro", "use_unsloth", "use_unsloth_gc", "use_v1_kernels",
    ),
    _RECORD: (
        "auto_find_batch_size", "disable_shuffling", "dataloader_drop_last", "enable_jit_checkpoint",
        "early_stopping_steps", "greater_is_better", "ignore_data_skip", "include_num_input_tokens_seen",
        "load_best_model_at_end", "metric_for_best_model", "restore_callback_states_from_checkpoint",
        "save_on_each_node", "save_only_model", "disable_tqdm", "logging_first_step", "log_on_each_node",
        "remove_unused_columns", "label_names",
    ),
    _WORKERS: (
        "accelerator_config", "bf16_full_eval", "ddp_backend", "ddp_find_unused_parameters",
        "dataloader_pin_memory", "fp16_full_eval", "fp8", "fp8_backend", "fp8_enable_fsdp_float8_all_gather",
        "fsdp", "fsdp_config", "hyper_parallel_args", "infer_backend", "infer_dtype", "local_rank",
        "master_addr", "master_port", "offload_folder", "parallelism_config", "pure_bf16",
        "ray_init_kwargs", "ray_num_workers", "use_hyper_parallel", "use_mca", "low_cpu_mem_usage",
    ),
    _TRAINS: (
        "batch_eval_metrics", "compute_accuracy", "do_eval", "do_predict", "do_sample", "do_train",
        "eval_num_beams", "eval_on_start", "eval_use_gather_object", "export_device", "export_dir",
        "export_hub_model_id", "export_legacy_format", "export_quantization_bit",
        "export_quantization_dataset", "export_quantization_maxlen", "export_quantization_nsamples",
        "export_size", "generation_config", "generation_max_length", "generation_num_beams",
        "include_for_metrics", "length_penalty", "max_length", "max_new_tokens", "num_beams",
        "predict_with_generate", "prediction_loss_only", "repetition_penalty", "sglang_config",
        "sglang_lora_backend", "sglang_maxlen", "sglang_mem_fraction", "sglang_tp_size",
        "skip_special_tokens", "sortish_sampler", "temperature", "top_k", "top_p", "use_cache",
        "use_kv_cache", "vllm_config", "vllm_enforce_eager", "vllm_gpu_util", "vllm_max_lora_rank",
        "vllm_maxlen",
    ),
    _OUTSIDE: (
        "hf_hub_token", "hub_always_push", "hub_model_id", "hub_private_repo", "hub_revision",
        "hub_strategy", "hub_token", "ms_hub_token", "om_hub_token", "push_to_hub", "swanlab_api_key",
        "swanlab_lark_secret", "swanlab_lark_webhook_url", "trackio_space_id", "logging_dir",
    ),
}  # fmt: skip

#: Arguments that are handed on: the optimizer's fine points, kernels, profilers and the trackers' names.
ALLOWED = frozenset(
    (
        "adam_beta1", "adam_epsilon", "average_tokens_across_devices", "cache_dir",
        "dataloader_persistent_workers", "dataloader_prefetch_factor", "ddp_broadcast_buffers",
        "ddp_bucket_cap_mb", "debug", "eaft_alpha", "enable_torch_profiler", "eval_accumulation_steps",
        "eval_delay", "eval_do_concat_batches", "full_determinism", "gradient_checkpointing_kwargs",
        "include_effective_tokens_per_second", "label_smoothing_factor", "liger_kernel_config", "log_level",
        "log_level_replica", "logging_nan_inf_filter", "loraplus_lr_embedding", "loraplus_lr_ratio",
        "lr_scheduler_kwargs", "moe_aux_loss_coef", "neftune_noise_alpha", "optim",
        "optim_args", "optim_target_modules", "plot_loss", "print_param_status", "profile_modules",
        "profiler_active_steps", "profiler_output_dir", "profiler_profile_memory", "profiler_record_shapes",
        "profiler_repeat", "profiler_wait_steps", "profiler_warmup_steps", "profiler_with_stack", "project",
        "rope_scaling", "run_name", "skip_memory_metrics", "swanlab_logdir", "swanlab_mode",
        "swanlab_project", "swanlab_run_name", "swanlab_workspace", "tf32", "torch_compile",
        "torch_compile_backend", "torch_compile_mode", "torch_empty_cache_steps", "upcast_layernorm",
        "upcast_lmhead_output", "use_adam_mini", "use_dft_loss", "use_dora", "use_eaft_loss", "use_muon",
        "use_reentrant_gc", "use_rslora", "use_swanlab",
    )
)  # fmt: skip
_REASON = {key: reason for reason, keys in REFUSED.items() for key in keys}


#: Arguments with which a row's loss depends on the line that it shares with others, and why.
_TREE = {
    "neftune_noise_alpha": "its noise follows the length of a sequence",
    "moe_aux_loss_coef": "it balances experts over the tokens of a pass, of which a tree has fewer",
    "label_smoothing_factor": "the trainer would shift the labels of a tree by itself",
    "use_dft_loss": "its loss would shift the labels of a tree by itself",
    "use_eaft_loss": "its loss would shift the labels of a tree by itself",
}
#: Arguments that are another loss, or another mean, than the balanced one.
_BALANCE = {
    "label_smoothing_factor": "it is another loss",
    "use_dft_loss": "it is another loss",
    "use_eaft_loss": "it is another loss",
    "average_tokens_across_devices": "both means are over the global batch",
}


def objective_problems(given: Mapping[str, Any], tree: bool, loss: str) -> list[str]:
    """Why arguments do not go with trees or with the balanced loss, one sentence each.

    Args:
        given: The node `sft.llamafactory`.
        tree: The setting `sft.tree`.
        loss: The setting `sft.loss`.
    """
    found = []
    for key, value in given.items():
        # The one argument that is on unless it is turned off.
        if bool(value) == (key == "average_tokens_across_devices"):
            continue
        if tree and key in _TREE:
            found.append(f"sft.llamafactory.{key} does not go with sft.tree=true: {_TREE[key]}")
        if loss == "balance" and key in _BALANCE:
            found.append(f"sft.llamafactory.{key} does not go with sft.loss=balance: {_BALANCE[key]}")
    return found


def problems(given: Iterable[str]) -> list[str]:
    """Why arguments may not be handed on, one sentence each.

    Args:
        given: The keys of the node `sft.llamafactory`.

    Raises:
        UserError: if LLaMA-Factory is not installed.
    """
    keys, found = list(given), []
    known = known_keys()
    for key in keys:
        if key in OWNED:
            found.append(f"sft.llamafactory.{key}: set {OWNED[key]} instead")
        elif key in _REASON:
            found.append(f"sft.llamafactory.{key} cannot be set: {_REASON[key]}")
        elif key in known and key not in ALLOWED:
            found.append(
                f"sft.llamafactory.{key} cannot be set: the installed LLaMA-Factory has it, but this project "
                "has not looked into what it changes (sft/passthrough.py)"
            )
    return found + unknown_keys(key for key in keys if key not in OWNED and key not in _REASON)
