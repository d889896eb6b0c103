// Only what a page can do without: every form and link works when this file does not load.
"use strict";

async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Without TLS the browser keeps its clipboard to itself, but copies a selection.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (!isCopied) throw new Error("not copied");
}

function selectContents(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("button[data-copy][hidden]")) {
    button.hidden = false;
    button.closest(".copy").classList.add("has-button");
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = button.closest(".copy").querySelector("code");
  const before = button.textContent;
  try {
    await copyText(source.textContent);
    button.textContent = button.dataset.done;
  } catch {
    selectContents(source);
    button.textContent = button.dataset.failed;
  }
  document.getElementById("spoken").textContent = button.textContent;
  setTimeout(() => { button.textContent = before; }, 2500);
});

// The menu of a narrow screen closes where Escape is pressed, as menus do.
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector(".top details[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.addEventListener("DOMContentLoaded", () => showCopyButtons(document));
document.addEventListener("htmx:load", (event) => showCopyButtons(event.target));
