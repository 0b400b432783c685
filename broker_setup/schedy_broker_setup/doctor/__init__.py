"""The broker checks of `schedy doctor`."""
