"""Networks: plain `nn.Module`s on named observation groups; nothing here knows how they are trained."""
