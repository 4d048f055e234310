from dataclasses import dataclass

import torch
from torch import Tensor

from rlmpc.networks.tree import leaves, like_rows, same_tensors, tree_map


@dataclass
class Pair:
    left: Tensor
    right: dict[str, Tensor] | None = None


def test_a_function_reaches_every_leaf_of_nested_dicts_and_dataclasses():
    tree = {"a": Pair(torch.ones(2), {"b": torch.zeros(2)}), "c": Pair(torch.ones(2))}
    doubled = tree_map(lambda one, other: one + other, tree, tree)
    assert [leaf.tolist() for leaf in leaves(doubled)] == [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]
    assert doubled["c"].right is None
    assert isinstance(doubled["a"], Pair)


def test_a_mask_of_rows_fits_values_of_any_width():
    mask = torch.tensor([[True, False], [False, True]])
    values = torch.ones(2, 2, 3, 4)
    assert values.masked_fill(like_rows(mask, values), 0.0).sum() == 24.0


def test_names_of_the_same_tensor_are_found():
    one, other = torch.ones(2), torch.ones(2)
    assert same_tensors({"a": one, "b": other, "c": one}) == {"a": "a", "b": "b", "c": "a"}
