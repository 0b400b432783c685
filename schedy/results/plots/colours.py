"""Colours that the colour-blind tell apart (Okabe, Ito: Color universal design, 2008; viridis of matplotlib)."""

STATUS = {
    "DONE": "#0072b2",
    "PRUNED": "#b8bec4",
    "CRASHED": "#d55e00",
    "LOST": "#cc79a7",
    "RELEASED": "#f0e442",
    "RUNNING": "#56b4e9",
}
BEST = "#e69f00"
BROKEN = "#8c6bb1"
INK, GRID = "#24292f", "#e6e8eb"
SCALE = ("#440154", "#443a83", "#31688e", "#20908d", "#35b779", "#8fd744", "#fde725")
"""From the best to the worst, or from the first to the last."""
