// Arrow keys between tokens, their numbers below them, and a word while something is measured.
// Every page works without this file: the numbers also stand in a table.
"use strict";

for (const closeup of document.querySelectorAll("[data-closeup]")) {
  const readout = closeup.querySelector("[data-readout]");
  const tokens = [...closeup.querySelectorAll(".token")];
  const rows = [...closeup.querySelectorAll("tbody tr")];
  const mean = readout.textContent;

  const tell = (token) => {
    const cells = rows[tokens.indexOf(token)].cells;
    const [gain, given, without] = [1, 2, 3].map((i) => cells[i].textContent);
    readout.textContent =
      `“${token.textContent.trim()}”: ${gain} nats; p ${without} without the trace, ${given} with it.`;
  };
  const choose = (token) => {
    for (const one of tokens) {
      one.tabIndex = one === token ? 0 : -1;
      one.setAttribute("aria-selected", String(one === token));
    }
    tell(token);
  };
  const places = { Home: () => 0, End: () => tokens.length - 1 };
  places.ArrowRight = places.ArrowDown = (at) => Math.min(at + 1, tokens.length - 1);
  places.ArrowLeft = places.ArrowUp = (at) => Math.max(at - 1, 0);

  for (const token of tokens) {
    token.addEventListener("focus", () => choose(token));
    token.addEventListener("click", () => token.focus());
    token.addEventListener("pointerenter", () => tell(token));
    token.addEventListener("keydown", (event) => {
      const place = places[event.key];
      if (!place) return;
      event.preventDefault();
      tokens[place(tokens.indexOf(token))].focus();
    });
  }
  closeup.addEventListener("pointerleave", () => {
    const chosen = tokens.find((one) => one === document.activeElement);
    if (chosen) tell(chosen);
    else readout.textContent = mean;
  });
}

for (const button of document.querySelectorAll("[data-busy]")) {
  button.addEventListener("click", () => {
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
  });
}
