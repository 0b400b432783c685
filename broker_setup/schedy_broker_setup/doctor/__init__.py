"""The broker's checks of `schedy doctor`."""
