"""Task `phase_1_scan_rl`: walking over stairs, boxes and stepping stones with a scan of the heights ahead."""
