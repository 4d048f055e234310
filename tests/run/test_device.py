import pytest
import torch

from rlmpc.errors import UserError
from rlmpc.run.device import resolve_device


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_takes_the_cpu_where_there_is_no_gpu(no_gpu):
    assert resolve_device("auto") == torch.device("cpu")
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_takes_a_gpu_where_there_is_one_and_each_process_its_own(two_gpus):
    assert resolve_device("auto") == torch.device("cuda", 0)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("cuda", num_processes=2, local_rank=1) == torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("device", "num_processes", "sentence"),
    [
        ("gpu", 1, "accepted: auto, cpu, cuda"),
        ("cuda:2", 1, "this machine has 2 GPUs"),
        ("cuda", 3, "3 processes, but this machine has 2 GPUs"),
        ("auto", 3, "3 processes, but this machine has 2 GPUs"),
        ("cuda:0", 2, "names one GPU"),
    ],
)
def test_a_device_that_cannot_be_had_is_refused(two_gpus, device, num_processes, sentence):
    with pytest.raises(UserError, match=sentence):
        resolve_device(device, num_processes)


def test_cuda_without_a_gpu_is_refused(no_gpu):
    with pytest.raises(UserError, match="no usable GPU"):
        resolve_device("cuda")
