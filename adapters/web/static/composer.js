/** Where a question is typed: grows with its text, counts near the limit, sends on Enter. */

import { el, icon, iconButton } from "./dom.js";
import { t } from "./texts.js";

const COUNT_FROM = 0.85;

export class Composer {
  /** @param {object} actions send(text), stopFollowing(), askAgain(), dismissAgain() */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.limit = 8000;
    this.input = el("textarea", { id: "question", rows: 1, enterKeyHint: "send" });
    this.sendButton = iconButton("send", "", () => this.submit(), { class: "send", disabled: true });
    this.context = el("div", { class: "context" });
    this.problem = el("p", { class: "problem", role: "alert", id: "problem" });
    this.counter = el("span", { class: "counter", role: "status" });
    this.scope = el("span", { class: "scope" });
    this.hint = el("span", { class: "hint" });
    root.append(
      this.context,
      this.problem,
      el("div", { class: "field" }, this.input, this.sendButton),
      el("div", { class: "under" }, this.scope, this.counter, this.hint),
    );
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (event) => {
      // Enter also picks a word in an input method (composition); Safari tells so by the key code only.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.submit();
    });
  }

  get text() {
    return this.input.value;
  }

  set text(value) {
    this.input.value = value;
    this.changed();
  }

  focus() {
    this.input.focus();
  }

  /** What stands around the field: what is followed up, the offer to ask again, who will read the answer. */
  describe({ placeholder, scope, following, again }) {
    this.input.placeholder = placeholder;
    this.input.setAttribute("aria-label", placeholder);
    this.sendButton.title = t("send");
    this.sendButton.setAttribute("aria-label", t("send"));
    this.hint.textContent = t("hint");
    this.scope.replaceChildren(icon("eye"), scope);
    this.context.replaceChildren(
      ...(again
        ? [
            el(
              "div",
              { class: "offer again" },
              el(
                "button",
                { type: "button", class: "button primary", onclick: this.actions.askAgain },
                icon("again"),
                t("again", { name: again.name }),
              ),
              el("q", {}, again.text),
              iconButton("close", t("dismiss"), this.actions.dismissAgain, { class: "small" }),
            ),
          ]
        : []),
      ...(following
        ? [
            el(
              "div",
              { class: "offer" },
              icon("reply"),
              el("span", {}, t("following")),
              el("q", {}, following),
              iconButton("close", t("new_topic"), this.actions.stopFollowing, { class: "small" }),
            ),
          ]
        : []),
    );
  }

  complain(text) {
    this.problem.textContent = text;
  }

  changed() {
    this.complain("");
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 220)}px`;
    const length = [...this.text.trim()].length;
    const excess = length - this.limit;
    this.counter.textContent =
      excess > 0
        ? t("too_long", { n: excess })
        : length > this.limit * COUNT_FROM
          ? t("count", { n: length, limit: this.limit })
          : "";
    this.root.classList.toggle("is-over", excess > 0);
    this.sendButton.disabled = length === 0 || excess > 0;
  }

  submit() {
    const text = this.text.trim();
    if (this.sendButton.disabled || !text) return;
    this.actions.send(text);
  }
}
