// Niceties only: every page works without this file.
"use strict";
{
  const format = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "short" });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  // Times in the reader's own zone, and their zone's name where the page says which it is.
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      time.textContent = format.format(new Date(time.dateTime)).replace(/\u202f/g, " ");
    }
    for (const name of root.querySelectorAll(".zone")) name.textContent = `in ${zone}`;
  };

  document.addEventListener("DOMContentLoaded", () => localise(document));
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt.parentNode ?? event.detail.elt));

  // A refresh that failed: what is shown is of its own time, and says so.
  for (const trouble of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(trouble, () => document.getElementById("as-of")?.classList.add("stale"));
  }
}
