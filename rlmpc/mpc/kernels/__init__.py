"""The walk as a few kernels of Warp: what the torch code beside it does in hundreds, one robot or leg a thread."""
