"use strict";
(() => {
  const survey = JSON.parse(document.getElementById("instrument").textContent);
  const PLACEHOLDER = /\{\{\s*([A-Za-z][A-Za-z0-9_]*)\s*\}\}/g;
  const MOST_CHARS = 600; // of an earlier answer in a later text
  const NOTHING = { state: "skipped", items: new Map(), codes: new Map(), label: "", kind: "" };
  const CHOOSES = new Set(["single_choice", "ranking", "budget"]);
  const CLOSED = new Set(["single_choice", "likert", "yes_no"]);

  // ---------------------------------------------------------------- conditions, as in Python

  const isText = (value) => typeof value === "string";
  const chosenOf = (own) => {
    if (own.kind === "multiple_choice") {
      return [...own.items].filter(([, value]) => value === "yes").map(([item]) => item);
    }
    const value = own.state === "refused" ? own.label : own.items.get("");
    return value === undefined ? [] : [String(value)];
  };
  const side = (term, given) => {
    if (term[0] === "v") return { value: term[1], codes: new Map() };
    const own = given.get(term[1]) ?? NOTHING;
    if (own.state === "refused") return { value: own.label, codes: new Map() };
    if (own.state !== "answered") return null;
    if (term[2] === null && own.kind === "multiple_choice") {
      return { value: chosenOf(own), codes: own.codes };
    }
    const value = own.items.get(term[2] ?? "");
    return value === undefined ? null : { value, codes: own.codes };
  };
  const number = (one, other) => {
    if (isText(one.value)) return one.codes.get(one.value) ?? other.get(one.value) ?? null;
    return typeof one.value === "number" ? one.value : null;
  };
  const same = (a, b) => {
    if (Array.isArray(a) && Array.isArray(b)) {
      return a.length === b.length && a.every((value, place) => same(value, b[place]));
    }
    return a === b;
  };
  const equal = (left, right) => {
    if (isText(left.value) === isText(right.value)) return same(left.value, right.value);
    const a = number(left, right.codes);
    return a !== null && a === number(right, left.codes);
  };
  const compares = (sign, left, right) => {
    if (left === null || right === null) return false;
    if (sign === "in" || sign === "not in") {
      const many = Array.isArray(right.value) ? right.value : [right.value];
      const found = many.some((value) => equal(left, { value, codes: right.codes }));
      return found === (sign === "in");
    }
    if (sign === "==" || sign === "!=") return equal(left, right) === (sign === "==");
    const a = number(left, right.codes);
    const b = number(right, left.codes);
    if (a === null || b === null) return false;
    return { "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b }[sign];
  };
  const holds = (node, given) => {
    if (node === null) return true;
    const [word, ...rest] = node;
    if (word === "and") return rest.every((part) => holds(part, given));
    if (word === "or") return rest.some((part) => holds(part, given));
    if (word === "not") return !holds(rest[0], given);
    if (word === "answered" || word === "refused" || word === "selected") {
      const own = given.get(rest[0]) ?? NOTHING;
      if (word !== "selected") return own.state === word;
      return own.state === "answered" && chosenOf(own).includes(rest[1]);
    }
    return compares(word, side(rest[0], given), side(rest[1], given));
  };

  // ---------------------------------------------------------------- earlier answers in texts

  const words = (own) => {
    if (own.state === "refused") return own.label;
    if (own.kind === "multiple_choice") {
      return chosenOf(own).join("; ") || (own.items.size ? "none of these" : "");
    }
    if (own.kind === "ranking") {
      const ranked = [...own.items].sort((a, b) => a[1] - b[1]);
      return ranked.map(([item], place) => `${place + 1}. ${item}`).join("; ");
    }
    return [...own.items].map(([item, v]) => (item ? `${item}: ${v}` : String(v))).join("; ");
  };
  const textOf = (own) => {
    const line = words(own).split(/\s+/).filter(Boolean).join(" ");
    const signs = Array.from(line);
    return signs.length <= MOST_CHARS ? line : `${signs.slice(0, MOST_CHARS).join("")}[...]`;
  };
  const mentioned = (text) => [...text.matchAll(PLACEHOLDER)].map((match) => match[1]);
  const fill = (text, given) =>
    text.replace(PLACEHOLDER, (_, name) => textOf(given.get(name) ?? NOTHING));
  const known = (text, given) =>
    mentioned(text).every((name) => textOf(given.get(name) ?? NOTHING) !== "");

  // ---------------------------------------------------------------- orders

  const shuffled = (items) => {
    const order = [...items];
    for (let left = order.length - 1; left > 0; left -= 1) {
      const other = crypto.getRandomValues(new Uint32Array(1))[0] % (left + 1);
      [order[left], order[other]] = [order[other], order[left]];
    }
    return order;
  };
  const sectionsInOrder = () => {
    if (!survey.random_sections) return survey.sections;
    const free = shuffled(survey.sections.filter((one) => !one.fixed));
    return survey.sections.map((one) => (one.fixed ? one : free.shift()));
  };
  const optionsInOrder = (question) => {
    const all = question.type === "matrix" ? question.rows : question.options;
    if (!question.random_order) return all;
    if (question.type === "likert") return shuffled([all, [...all].reverse()])[0];
    const last = all.filter((one) => (question.last ?? []).includes(one));
    return [...shuffled(all.filter((one) => !last.includes(one))), ...last];
  };

  // ---------------------------------------------------------------- page

  let count = 0;
  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, String(value));
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  };
  const say = (tag, name, text = "") => {
    const made = make(tag, { class: name, dir: "auto" });
    made.textContent = text;
    return made;
  };
  const labeled = (type, name, text) => {
    const id = `in${(count += 1)}`;
    const input = make("input", { type, name, id });
    const label = make("label", { for: id, dir: "auto" });
    label.textContent = text;
    return { input, whole: make("div", { class: "choice" }, input, label) };
  };

  /** One question on the page; `read` returns what came of it. */
  class Field {
    constructor(question) {
      this.question = question;
      this.order = optionsInOrder(question);
      this.name = `q${(count += 1)}`;
      this.legend = make("legend");
      this.text = say("span", "words");
      this.legend.append(this.text);
      this.instruction = say("p", "words hint");
      this.problem = make("p", { class: "problem", id: `${this.name}-problem`, hidden: true });
      this.body = make("div");
      this.parts = new Map(); // label of an option, row or part -> what is on the page
      this.refusals = new Map();
      this.whole = make("fieldset", {}, this.legend, this.instruction, this.body, this.problem);
      this.build();
    }

    build() {
      const { type } = this.question;
      if (CLOSED.has(type)) this.closed();
      else if (type === "multiple_choice") this.several();
      else if (type === "matrix") this.matrix();
      else if (type === "ranking") this.ranks();
      else if (type === "budget") this.amounts();
      else this.entry(type);
    }

    add(label, part) {
      this.parts.set(label, part);
      this.body.append(part.whole);
    }

    closed() {
      const { question } = this;
      if (question.ends) this.body.append(say("p", "hint", question.ends));
      const across = question.type === "likert" && question.options.every((one) => one.length < 12);
      if (across) {
        const row = make("div", { class: "across" });
        this.body.append(row);
        this.body = row;
      }
      for (const label of [...this.order, ...question.refusal]) {
        this.add(label, labeled("radio", this.name, label));
      }
      if (across) this.body = this.body.parentElement;
    }

    several() {
      const { question } = this;
      const alone = new Set([...question.exclusive, ...question.refusal]);
      const limits = [];
      if (question.least > 1) limits.push(`at least ${question.least}`);
      if (question.most !== null) limits.push(`at most ${question.most}`);
      if (limits.length) this.body.append(say("p", "hint", `Choose ${limits.join(", ")}.`));
      for (const label of [...this.order, ...question.refusal]) {
        const part = labeled("checkbox", this.name, label);
        part.input.addEventListener("change", () => {
          if (!part.input.checked) return;
          for (const [other, one] of this.parts) {
            if (other !== label && (alone.has(label) || alone.has(other))) one.input.checked = false;
          }
        });
        this.add(label, part);
      }
    }

    matrix() {
      for (const row of this.order) {
        const id = `in${(count += 1)}`;
        const title = say("div", "words", row);
        title.id = id;
        const choices = make("div", { class: "across" });
        const inputs = new Map();
        for (const label of [...this.question.options, ...this.question.refusal]) {
          const one = labeled("radio", id, label);
          inputs.set(label, one.input);
          choices.append(one.whole);
        }
        const group = make("div", { class: "row", role: "radiogroup", "aria-labelledby": id });
        group.append(title, choices);
        this.add(row, { whole: group, inputs });
      }
    }

    ranks() {
      this.body.append(say("p", "hint", "Give each a place: 1 comes first."));
      for (const label of this.order) {
        const id = `in${(count += 1)}`;
        const input = make("select", { id }, make("option", { value: "" }, "–"));
        this.order.forEach((_, place) =>
          input.append(make("option", { value: place + 1 }, String(place + 1))));
        this.line(label, id, input);
      }
      this.refuse();
    }

    amounts() {
      const { total, unit, integer } = this.question;
      this.sum = say("p", "hint");
      this.body.append(this.sum);
      for (const label of this.order) {
        const id = `in${(count += 1)}`;
        const step = integer ? 1 : "any";
        this.line(label, id, make("input", { type: "number", id, min: 0, max: total, step }));
      }
      this.summed = () => {
        const found = [...this.parts.values()].filter((one) => !one.whole.hidden);
        const exact = found.reduce((all, one) => all + (Number(one.input.value) || 0), 0);
        const sum = Number(exact.toPrecision(12));
        this.sum.textContent = `Distribute ${total}${unit ? ` ${unit}` : ""}; so far ${sum}.`;
        return sum;
      };
      this.summed();
      this.refuse();
    }

    line(label, id, input) {
      const title = make("label", { for: id, dir: "auto" });
      title.textContent = label;
      this.add(label, { whole: make("div", { class: "entry" }, title, input), input });
    }

    entry(type) {
      const { low, high, integer, unit } = this.question;
      const id = `in${(count += 1)}`;
      this.text.id = `${id}-label`;
      const attributes = { id, "aria-labelledby": this.text.id };
      const input = type === "number"
        ? make("input", { ...attributes, type, min: low, max: high, step: integer ? 1 : "any" })
        : make("textarea", { ...attributes, dir: "auto" });
      const said = unit ? say("span", "hint", unit) : null;
      this.add("", { whole: make("div", { class: "entry" }, input, said), input });
      this.refuse();
    }

    refuse() {
      for (const label of this.question.refusal) {
        const part = labeled("checkbox", this.name, label);
        part.input.addEventListener("change", () => {
          for (const [other, one] of this.refusals) {
            if (other !== label && part.input.checked) one.checked = false;
          }
        });
        this.refusals.set(label, part.input);
        this.body.append(part.whole);
      }
    }

    /** Show the options whose conditions hold; return their labels in the instrument's order. */
    shown(given) {
      const conditions = new Map(this.question.shown_if);
      for (const [label, part] of this.parts) {
        part.whole.hidden = !holds(conditions.get(label) ?? null, given);
      }
      const all = this.question.type === "matrix" ? this.question.rows : this.question.options;
      return all.filter((label) => !(this.parts.get(label)?.whole.hidden ?? false));
    }

    /** Return state and items; `why` says what is missing or wrong. */
    read(shown) {
      const { question } = this;
      const { type } = question;
      const refused = [...this.refusals].find(([, input]) => input.checked);
      for (const part of this.parts.values()) {
        if (this.refusals.size) part.input.disabled = refused !== undefined;
      }
      if (refused) return { state: "refused", label: refused[0] };
      if (CHOOSES.has(type) && shown.length === 1 && !question.refusal.length) {
        return this.only(shown[0]);
      }
      if (CLOSED.has(type)) {
        const open = [...shown, ...question.refusal];
        const label = open.find((one) => this.parts.get(one).input.checked);
        if (label === undefined) return { state: "missing", why: "Choose an answer." };
        if (question.refusal.includes(label)) return { state: "refused", label };
        return { state: "answered", items: new Map([["", label]]) };
      }
      if (type === "multiple_choice") return this.ticked(shown);
      if (type === "matrix") return this.rows(shown);
      if (type === "ranking") return this.ranked(shown);
      if (type === "budget") return this.spent(shown);
      return this.entered(type);
    }

    only(label) {
      const { type, total } = this.question;
      const part = this.parts.get(label);
      if (type === "single_choice") part.input.checked = true;
      else part.input.value = type === "ranking" ? "1" : String(total);
      const values = { single_choice: ["", label], ranking: [label, 1], budget: [label, total] };
      this.summed?.();
      return { state: "answered", items: new Map([values[type]]) };
    }

    ticked(shown) {
      const { question } = this;
      const refusal = question.refusal.find((one) => this.parts.get(one).input.checked);
      if (refusal !== undefined) return { state: "refused", label: refusal };
      const yes = shown.filter((one) => this.parts.get(one).input.checked);
      const alone = yes.some((one) => question.exclusive.includes(one));
      if (!yes.length && !survey.required) return { state: "missing", why: "" };
      const items = new Map(shown.map((one) => [one, yes.includes(one) ? "yes" : "no"]));
      const least = Math.min(question.least, shown.length);
      if (!alone && yes.length < least) {
        return { state: "answered", items, why: `Choose at least ${least}.`, wrong: true };
      }
      if (question.most !== null && yes.length > question.most) {
        const why = `Choose at most ${question.most}.`;
        return { state: "answered", items, why, wrong: true };
      }
      return { state: "answered", items };
    }

    rows(shown) {
      const items = new Map();
      for (const row of shown) {
        for (const [label, input] of this.parts.get(row).inputs) {
          if (input.checked) items.set(row, label);
        }
      }
      if (!items.size) return { state: "missing", why: "Choose an answer in each row." };
      const why = items.size < shown.length ? "Choose an answer in each row." : undefined;
      return { state: "answered", items, why };
    }

    ranked(shown) {
      const places = shown.map((one) => this.parts.get(one).input.value);
      if (places.every((place) => place === "")) {
        return { state: "missing", why: "Give each a place." };
      }
      const wanted = shown.map((_, place) => String(place + 1)).sort().join();
      if ([...places].sort().join() !== wanted) {
        const why = `Give each a place of its own, from 1 to ${shown.length}.`;
        return { state: "missing", why, wrong: true };
      }
      const items = new Map(shown.map((one, at) => [one, Number(places[at])]));
      return { state: "answered", items };
    }

    spent(shown) {
      const { total, integer } = this.question;
      const sum = this.summed();
      const values = shown.map((one) => this.parts.get(one).input);
      if (values.every((input) => input.value === "" && !input.validity.badInput)) {
        return { state: "missing", why: `Distribute ${total}.` };
      }
      const amounts = values.map((input) => Number(input.value));
      const bad = values.some((input) => input.validity.badInput) || amounts.some((a) => a < 0)
        || (integer && amounts.some((a) => !Number.isInteger(a)));
      if (bad || Math.abs(sum - total) > 1e-9 * Math.max(1, total)) {
        const what = integer ? "whole amounts" : "amounts";
        return { state: "missing", why: `Enter ${what} that add up to ${total}.`, wrong: true };
      }
      return { state: "answered", items: new Map(shown.map((one, at) => [one, amounts[at]])) };
    }

    entered(type) {
      const { input } = this.parts.get("");
      if (type !== "number") {
        const text = input.value.trim();
        if (!text) return { state: "missing", why: "Write an answer." };
        return { state: "answered", items: new Map([["", text]]) };
      }
      const { low, high, integer } = this.question;
      if (input.value === "" && !input.validity.badInput) {
        return { state: "missing", why: "Enter a number." };
      }
      const value = Number(input.value);
      const why = input.validity.badInput || !Number.isFinite(value) ? "Enter a number."
        : integer && !Number.isInteger(value) ? "Enter a whole number."
        : low !== null && value < low ? `Enter at least ${low}.`
        : high !== null && value > high ? `Enter at most ${high}.` : null;
      if (why !== null) return { state: "missing", why, wrong: true };
      return { state: "answered", items: new Map([["", value]]) };
    }
  }

  // ---------------------------------------------------------------- one respondent

  const form = document.getElementById("form");
  const place = document.getElementById("questions");
  const respondent = document.getElementById("respondent");
  let sections = [];
  let given = new Map();
  let asked = false; // whether problems are shown

  const begin = () => {
    place.replaceChildren();
    if (survey.instruction) place.append(say("p", "words", survey.instruction));
    sections = sectionsInOrder().map((section) => {
      const fields = (section.random_order ? shuffled(section.questions) : section.questions)
        .map((question) => new Field(question));
      const intro = say("p", "words");
      const texts = section.passages.map((passage) => ({ passage, whole: say("p", "words") }));
      const whole = make("div", {}, intro);
      const before = (id) => texts.filter((one) => one.passage.before === id);
      whole.append(...before("").map((one) => one.whole));
      for (const field of fields) {
        whole.append(...before(field.question.id).map((one) => one.whole), field.whole);
      }
      place.append(whole);
      return { section, fields, intro, texts, whole };
    });
    respondent.value = invited() || fresh();
    asked = false;
    update();
  };

  /** Return the id that the page's address ends with, as in `form.html#ada`. */
  const invited = () => {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return "";
    }
  };

  const fresh = () => {
    const signs = "abcdefghijkmnpqrstuvwxyz23456789";
    const drawn = crypto.getRandomValues(new Uint8Array(10));
    return `p-${Array.from(drawn, (n) => signs[n % signs.length]).join("")}`;
  };

  const answer = (part, field) => {
    const { question } = field;
    const { section } = part;
    const told = { items: new Map(), label: "", kind: question.type };
    const codes = new Map(question.codes);
    const whole = `${section.text}\n${question.instruction}\n${question.text}`;
    const open = holds(section.show_if, given) && holds(question.show_if, given)
      && known(whole, given);
    const shown = open ? field.shown(given) : [];
    if (!open || (field.order.length && !shown.length)) {
      return { ...told, codes, state: "skipped" };
    }
    return { ...told, codes, ...field.read(shown) };
  };

  const update = () => {
    given = new Map();
    for (const part of sections) {
      let visible = false;
      for (const field of part.fields) {
        const own = answer(part, field);
        field.whole.hidden = own.state === "skipped";
        visible ||= !field.whole.hidden;
        field.text.textContent = fill(field.question.text, given);
        field.instruction.textContent = fill(field.question.instruction, given);
        field.instruction.hidden = !field.question.instruction;
        given.set(field.question.id, own);
        const told = own.why && (survey.required || own.wrong);
        field.why = told && !field.whole.hidden ? own.why : "";
        field.problem.textContent = field.why;
        field.problem.hidden = !asked || !field.why;
        if (asked && field.why) field.whole.setAttribute("aria-describedby", field.problem.id);
        else field.whole.removeAttribute("aria-describedby");
      }
      part.intro.textContent = fill(part.section.text, given);
      part.intro.hidden = !visible || !part.section.text;
      for (const { passage, whole } of part.texts) {
        whole.textContent = fill(passage.text, given);
        const open = holds(part.section.show_if, given) && holds(passage.show_if, given);
        whole.hidden = !open || !known(passage.text, given);
      }
    }
  };

  // ---------------------------------------------------------------- file

  const COMPUTED = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
  const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
  const cell = (value) => {
    let text = String(value);
    if (COMPUTED.test(text) && !NUMBER.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const valueOf = (id, item) => {
    const own = given.get(id) ?? NOTHING;
    if (own.state === "refused") return own.label;
    return own.state === "answered" ? own.items.get(item) ?? "" : "";
  };
  const csv = () => {
    const head = ["respondent", ...survey.columns.map(([column]) => column)];
    const row = [respondent.value.trim(),
      ...survey.columns.map(([, id, item]) => valueOf(id, item))];
    return [head, row].map((cells) => `${cells.map(cell).join(",")}\n`).join("");
  };
  const save = () => {
    const link = document.createElement("a");
    const file = respondent.value.trim().replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 80);
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `answers-${file}.csv`;
    document.body.append(link);
    link.click();
    link.remove();
    return link.download;
  };

  form.addEventListener("input", update);
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    asked = true;
    update();
    const problems = document.getElementById("problems");
    const wrong = sections.flatMap((part) => part.fields).filter((field) => field.why);
    const nameless = !respondent.value.trim();
    if (wrong.length || nameless) {
      problems.textContent = nameless ? "Enter your id in this survey."
        : `${wrong.length} of the questions ${wrong.length > 1 ? "need" : "needs"} an answer.`;
      const first = nameless ? respondent
        : [...wrong[0].whole.querySelectorAll("input, select, textarea")]
          .find((one) => one.offsetParent !== null && !one.disabled);
      first?.focus();
      return;
    }
    problems.textContent = "";
    const name = save();
    form.hidden = true;
    const done = document.getElementById("done");
    document.getElementById("saved").textContent =
      `Your answers were saved as ${name}. Give this file to whoever asked you.`;
    done.hidden = false;
    done.focus();
  });
  document.getElementById("again").addEventListener("click", () => {
    document.getElementById("done").hidden = true;
    form.hidden = false;
    if (location.hash) history.replaceState(null, "", location.pathname);
    begin();
    scrollTo(0, 0);
    respondent.focus();
  });

  begin();
  // Conditions and texts, so that they can be checked against Python's from outside.
  globalThis.usersimForm = Object.freeze({ holds, textOf });
})();
