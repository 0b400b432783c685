"""The parts of `schedy up`, which `down` and `status` find again."""
