"""Networks: plain `nn.Module`s on named observation groups, independent of how they are trained."""
