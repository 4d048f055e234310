"""How busy a GPU is by its driver, which sees what torch's profiler does not: the loops inside recorded graphs."""

from __future__ import annotations

import shutil
import subprocess

import torch

PERIOD_MS = 100


class DriverBusy:
    """Asks `nvidia-smi` for the share of time in which a kernel runs, from `start` to `stop`.

    A sample is of the driver's last period, which lasts between a sixth of a second and a second.

    Args:
        device: of torch; on the CPU, or without `nvidia-smi`, there is nothing to see.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._program = shutil.which("nvidia-smi")
        self._sampling: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to sample."""
        if self._device.type != "cuda" or self._program is None:
            return
        # By its name, as the driver counts GPUs that this process cannot see.
        name = f"GPU-{torch.cuda.get_device_properties(self._device).uuid}"
        asked = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={PERIOD_MS}"]
        command = [self._program, f"--id={name}", *asked]
        self._sampling = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self) -> list[float]:
        """Return the shares that were sampled."""
        if self._sampling is None:
            return []
        self._sampling.terminate()
        sampled, _ = self._sampling.communicate()
        self._sampling = None
        # The last line may be cut off.
        return [float(line) / 100.0 for line in sampled.splitlines()[:-1] if line.strip().isdigit()]
