/** The panel on the right: a cited passage, fetched with the rights of whoever opens it. */

import { absoluteTime, day, el, icon, iconButton, relativeTime } from "./dom.js";
import { get } from "./api.js";
import { renderMarkdown } from "./markdown.js";
import { headingPath } from "./messages.js";
import { t } from "./texts.js";

export class Panel {
  constructor(root) {
    this.root = root;
    this.opener = null;
  }

  get isOpen() {
    return !this.root.hidden;
  }

  async open(citation, opener, nameOf) {
    this.mark(false);
    this.opener = opener;
    this.chunkId = citation.chunk_id;
    this.nameOf = nameOf;
    this.mark(true);
    this.root.hidden = false;
    this.root.setAttribute("aria-label", t("panel"));
    document.body.classList.add("has-panel");
    this.show(citation, [el("p", { class: "loading" }, t("loading"))]);
    this.root.querySelector(".icon-button")?.focus({ preventScroll: true });
    try {
      const passage = await get(`api/passages/${encodeURIComponent(citation.chunk_id)}`);
      if (this.chunkId === citation.chunk_id) this.show({ ...citation, ...passage }, this.passage(passage));
    } catch (error) {
      if (this.chunkId !== citation.chunk_id) return;
      // Nothing of the document is shown to somebody who may not open it.
      this.show(null, [el("p", { class: "notice" }, icon("info"), error.message || t("unreachable"))]);
    }
  }

  show(source, content) {
    this.root.replaceChildren(
      el(
        "header",
        { class: "panel-head" },
        source?.number ? el("span", { class: "cite still" }, String(source.number)) : null,
        el("span", { class: "panel-name" }, t("panel")),
        iconButton("close", t("close"), () => this.close()),
      ),
      el(
        "div",
        { class: "panel-body" },
        source ? el("h2", {}, source.title) : null,
        source && headingPath(source).length ? el("p", { class: "path" }, headingPath(source).join(" › ")) : null,
        content,
      ),
    );
  }

  passage(passage) {
    const text = el("div", { class: "prose passage", lang: passage.language ?? undefined });
    text.append(renderMarkdown(passage.text));
    const facts = [
      [t("owner"), passage.owner_name && (passage.owner_name !== passage.owner ? passage.owner_name : this.nameOf(passage.owner))],
      [t("modified"), passage.modified_at && whenModified(passage.modified_at)],
      [t("version"), passage.version],
      [t("review"), passage.review_at && day(passage.review_at)],
      [t("document"), el("code", {}, passage.document_id)],
    ].filter(([, value]) => value);
    return [
      passage.superseded ? el("p", { class: "notice warn" }, icon("warn"), t("superseded_note")) : null,
      el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("h3", {}, t("passage")),
      text,
      passage.link
        ? el("a", { class: "button", href: passage.link, target: "_blank", rel: "noopener noreferrer" }, icon("out"), t("open_source"))
        : null,
    ];
  }

  close() {
    if (!this.isOpen) return;
    this.mark(false);
    this.root.hidden = true;
    this.root.replaceChildren();
    this.chunkId = null;
    document.body.classList.remove("has-panel");
    if (this.opener?.isConnected) this.opener.focus({ preventScroll: true });
    this.opener = null;
  }

  mark(isOpen) {
    this.opener?.classList.toggle("is-open", isOpen);
  }
}

function whenModified(iso) {
  const isDay = /T00:00:00/.test(iso);
  return t("since", { at: isDay ? day(iso) : absoluteTime(iso), ago: relativeTime(iso) });
}
