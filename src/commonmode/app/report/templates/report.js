"use strict";
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = (value, colours) => {
    if (typeof value === "string") {
      const match = /^var\((--[a-z-]+)\)$/.exec(value);
      return match ? colours.getPropertyValue(match[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((v) => paint(v, colours));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, colours)]));
    }
    return value;
  };
  const draw = () => {
    const colours = getComputedStyle(root);
    for (const source of document.querySelectorAll("script[data-plot]")) {
      const place = document.getElementById(source.dataset.plot);
      try {
        const plot = paint(JSON.parse(source.textContent), colours);
        // Drawn wide and scaled down by the style sheet: paper has no scroll bar.
        if (root.classList.contains("paper")) plot.layout.width = 960;
        Plotly.react(place, plot.data, plot.layout, { displayModeBar: false, responsive: true });
        place.dataset.drawn = "true";
      } catch (error) {
        place.dataset.drawn = "false";
        place.innerHTML = '<p class="plot-error">This picture could not be drawn; its numbers are in the tables.</p>';
        console.error(source.dataset.plot, error);
      }
    }
  };
  draw();
  dark.addEventListener("change", draw);
  // Paper is white: light colours and every table while printing.
  const closed = [];
  window.addEventListener("beforeprint", () => {
    root.classList.add("paper");
    for (const part of document.querySelectorAll("details:not([open])")) {
      part.open = true;
      closed.push(part);
    }
    draw();
  });
  window.addEventListener("afterprint", () => {
    root.classList.remove("paper");
    while (closed.length) closed.pop().open = false;
    draw();
  });
})();
