"""verl's CPU platform: what lets verl 0.9.1 train and roll out on a machine without an accelerator.

- `plugin`: what verl loads in every process, through `VERL_USE_EXTERNAL_MODULES` (verl/__init__.py)
- `platform`: device, backend and resource names (verl.plugin.platform)
- `engine`: the FSDP2 engine for tensors on the CPU (verl.workers.engine)
- `vllm_worker`: keeps vLLM's weights loadable (vLLM worker extension)
- `distribution`: the metadata of a distribution named `vllm`

The settings that call them stand in `configs/rl.yaml`, `rl.devices.cpu`; nothing here takes effect without
them.
"""
