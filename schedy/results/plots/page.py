"""All plots in one page of HTML that needs nothing else: no network, no other file."""

import html
import json
from collections.abc import Sequence
from importlib import resources

from schedy.escaping import printable
from schedy.results.packages import needed
from schedy.results.plots.data import Plot
from schedy.results.plots.plotly import figure

GENERATOR = '<meta name="generator" content="Schedy">'
"""By this a page is known that Schedy has written."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{generator}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #24292f; background: #f6f8fa; margin: 0 auto; max-width: 1200px; padding: 1em 1.5em 3em; }}
h1 {{ font-size: 1.6em; margin: 0.4em 0 0; }}
p {{ margin: 0.2em 0 1em; color: #57606a; }}
section {{ background: white; border: 1px solid #d8dee4; border-radius: 6px; margin: 1em 0; padding: 0.5em; }}
</style>
<script>{library}</script>
</head>
<body>
<h1>{title}</h1>
{sentences}
{sections}
<script type="application/json" id="figures">{figures}</script>
<script>
const figures = JSON.parse(document.getElementById("figures").textContent);
figures.forEach((figure, number) => Plotly.newPlot("plot" + number, figure.data, figure.layout,
  {{responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"]}}));
</script>
</body>
</html>
"""


def page(title: str, plots: Sequence[Plot], sentences: Sequence[str] = ()) -> str:
    """Return the page of these plots. Raises MissingPackageError without plotly, whose library is part of the page."""
    needed("plotly", what="A page of plots", extra="plot")
    library = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    return _PAGE.format(
        generator=GENERATOR,
        title=html.escape(printable(title)),
        library=library,
        sentences="\n".join(f"<p>{html.escape(printable(sentence))}</p>" for sentence in sentences),
        sections="\n".join(f'<section><div id="plot{number}"></div></section>' for number in range(len(plots))),
        figures=_script_json([figure(plot) for plot in plots]),
    )


def _script_json(value: object) -> str:
    """Return JSON that does not end the script in which it stands."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
