/** Shows the messages of a conversation, thread by thread; what did not change keeps its element. */

import { avatar, botAvatar, clockTime, day, el, icon, relativeTime } from "./dom.js";
import { renderMarkdown } from "./markdown.js";
import { currentLanguage, t } from "./texts.js";

const BANDS = { answered: "check", unsure: "help", nothing: "empty" };

export class MessageList {
  /**
   * @param {HTMLElement} root
   * @param {object} actions what the buttons do: cite, rate, stop, ask, follow, nameOf
   */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.shown = new Map();
    this.threads = new Map();
    // What a person has begun to do with a message survives its next version.
    this.open = new Map();
  }

  clear() {
    this.root.replaceChildren();
    this.shown.clear();
    this.threads.clear();
    this.open.clear();
  }

  /** @param {object[]} messages in order; @param {boolean} hasThreads false in a direct conversation */
  render(messages, hasThreads) {
    const groups = new Map();
    for (const message of messages) {
      const key = hasThreads ? (message.thread ?? message.id) : "all";
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(message);
    }
    const sections = [...groups].map(([key, group]) => this.thread(key, group, hasThreads));
    sync(this.root, sections);
    for (const id of [...this.shown.keys()]) {
      if (!messages.some((m) => m.id === id)) this.shown.delete(id);
    }
  }

  thread(key, group, hasThreads) {
    let section = this.threads.get(key);
    if (!section) {
      section = el("section", { class: "thread", "data-thread": key });
      this.threads.set(key, section);
    }
    const replied = new Set(group.map((m) => m.answers).filter(Boolean));
    const children = group.map((message) => this.element(message, group));
    for (const message of group) {
      if (message.is_open && !replied.has(message.id)) children.push(this.waiting(message));
    }
    const isBusy = group.some((m) => m.is_open);
    if (hasThreads && !isBusy) {
      children.push(
        el(
          "button",
          { type: "button", class: "follow quiet", onclick: () => this.actions.follow(key, group[0]) },
          icon("reply"),
          t("follow_up"),
        ),
      );
    }
    sync(section, children);
    return section;
  }

  element(message, group) {
    const question = message.answers && group.find((m) => m.id === message.answers);
    const canStop = Boolean(question?.is_open && question.is_mine && !isFinal(message));
    const version = JSON.stringify([message, canStop, this.open.get(message.id), currentLanguage()]);
    const before = this.shown.get(message.id);
    if (before?.version === version) return before.element;
    const element = message.author ? this.question(message) : this.answer(message, canStop);
    this.shown.set(message.id, { version, element });
    return element;
  }

  question(message) {
    const author = message.author;
    return el(
      "article",
      { class: `message asked ${message.is_mine ? "mine" : ""} ${message.isPending ? "pending" : ""}`, "data-id": message.id },
      avatar({ ...author, kind: "employee" }),
      el(
        "div",
        { class: "body" },
        el("header", {}, el("strong", {}, author.name), clockTime(message.at)),
        el("p", { class: "words" }, message.text),
      ),
    );
  }

  waiting(message) {
    return this.bot(
      { class: "message answer working" },
      [el("strong", {}, "Shifu")],
      // Until the server has it, there is nothing that could be stopped.
      [this.status(t("working"), message.is_mine && !message.isPending ? message.id : null)],
    );
  }

  status(text, stopId) {
    return el(
      "div",
      { class: "status" },
      el("span", { class: "pulse", "aria-hidden": "true" }, el("i"), el("i"), el("i")),
      el("span", {}, text),
      stopId
        ? el("button", { type: "button", class: "quiet stop", onclick: () => this.actions.stop(stopId) }, icon("stop"), t("stop"))
        : null,
    );
  }

  bot(properties, header, body) {
    return el(
      "article",
      properties,
      botAvatar(),
      el("div", { class: "body" }, el("header", {}, header), body),
    );
  }

  answer(message, canStop) {
    const reply = message.reply;
    const header = [el("strong", {}, "Shifu"), clockTime(message.at)];
    if (message.is_private) header.push(el("span", { class: "badge private" }, icon("eye"), t("only_you")));
    const properties = {
      class: `message answer ${message.is_private ? "private" : ""} ${reply ? `is-${reply.kind}` : ""}`,
      "data-id": message.id,
    };
    if (message.withheld) {
      return this.bot({ ...properties, class: `${properties.class} withheld` }, header, [
        el("p", { class: "notice" }, icon("info"), t(message.withheld)),
      ]);
    }
    const stopId = canStop ? message.answers : null;
    if (reply.kind === "status") return this.bot(properties, header, [this.status(reply.text, stopId)]);
    if (reply.kind === "answer") header.push(...this.badges(reply));
    const prose = el("div", { class: "prose", lang: reply.language });
    prose.append(renderMarkdown(reply.text, (number) => this.chip(reply, number, message)));
    const body = [prose];
    if (reply.kind === "partial") body.push(this.status(t("working"), stopId));
    if (reply.notice) body.push(el("p", { class: "notice" }, icon("info"), reply.notice));
    if (isFinal(message)) {
      if (reply.citations.length) body.push(...this.sources(reply, message));
      body.push(this.footer(message));
      if (reply.suggestions.length) {
        body.push(
          el(
            "div",
            { class: "chips" },
            reply.suggestions.map((text) =>
              el("button", { type: "button", class: "chip", onclick: () => this.actions.ask(text, message.thread) }, text),
            ),
          ),
        );
      }
    }
    return this.bot(properties, header, body);
  }

  badges(reply) {
    return [
      reply.band ? el("span", { class: `badge ${reply.band}` }, icon(BANDS[reply.band]), t(`band_${reply.band}`)) : null,
      reply.is_extract && reply.band === "answered"
        ? el("span", { class: "badge plain", title: t("extract_note") }, icon("quote"), t("extract"))
        : null,
    ];
  }

  chip(reply, number, message) {
    const citation = reply.citations.find((c) => c.number === number);
    if (!citation) return null;
    return el(
      "button",
      {
        type: "button",
        class: "cite",
        title: citation.title,
        "aria-label": t("source_n", { n: number, title: citation.title }),
        "data-chunk": citation.chunk_id,
        onclick: (event) => this.actions.cite(citation, event.currentTarget, message),
      },
      String(number),
    );
  }

  /** What the answer rests on; apart from it, what was found beside. */
  sources(reply, message) {
    const isCited = (citation) => reply.text.includes(`[${citation.number}]`);
    const cited = reply.citations.filter(isCited);
    const further = reply.citations.filter((citation) => !isCited(citation));
    const isAnswered = reply.band === "answered" || !reply.band;
    return [
      this.sourceList(isAnswered ? t("sources") : t("closest"), "sources", cited, message),
      this.sourceList(t("further"), "sources further", further, message),
    ];
  }

  sourceList(title, kind, citations, message) {
    if (!citations.length) return null;
    const rows = citations.map((citation) => el("li", {}, this.source(citation, message)));
    return el("section", { class: kind, "aria-label": title }, el("h3", {}, title), el("ol", {}, rows));
  }

  source(citation, message) {
    const where = [
      headingPath(citation).at(-1),
      citation.owner ? this.actions.nameOf(citation.owner) : null,
      citation.modified_at ? relativeTime(citation.modified_at) : null,
    ];
    return el(
      "button",
      {
        type: "button",
        class: "source",
        "data-chunk": citation.chunk_id,
        title: citation.modified_at ? day(citation.modified_at) : undefined,
        onclick: (event) => this.actions.cite(citation, event.currentTarget, message),
      },
      el("span", { class: "number", "aria-hidden": "true" }, String(citation.number)),
      el(
        "span",
        { class: "what" },
        el("span", { class: "title" }, citation.title),
        el("span", { class: "where" }, where.filter(Boolean).join(" · ")),
      ),
      citation.superseded ? el("span", { class: "badge unsure" }, icon("warn"), t("superseded")) : null,
    );
  }

  footer(message) {
    const reply = message.reply;
    const open = this.open.get(message.id) ?? {};
    const parts = [];
    const buttons = [];
    if (reply.can_rate) {
      for (const [rating, name] of [["helpful", "up"], ["unhelpful", "down"]]) {
        buttons.push(
          el(
            "button",
            {
              type: "button",
              class: "icon-button small",
              title: t(rating),
              "aria-label": t(rating),
              "aria-pressed": String(message.rating === rating),
              onclick: () => this.update(message, { isCommenting: rating === "unhelpful", isThanked: rating === "helpful" }, this.actions.rate(message, rating, "")),
            },
            icon(name),
          ),
        );
      }
    }
    if (reply.kind === "answer") {
      buttons.push(
        el(
          "button",
          { type: "button", class: "icon-button small", title: t("copy"), "aria-label": t("copy"), onclick: (e) => copy(reply.text, e.currentTarget) },
          icon("copy"),
        ),
      );
    }
    if (open.isThanked) buttons.push(el("span", { class: "thanks", role: "status" }, t("thanks")));
    if (buttons.length) parts.push(el("div", { class: "buttons" }, buttons));
    if (open.isCommenting) parts.push(this.commentBox(message));
    return parts.length ? el("footer", {}, parts) : null;
  }

  commentBox(message) {
    const input = el("textarea", { rows: 2, maxLength: 2000, placeholder: t("what_wrong"), "aria-label": t("what_wrong") });
    // The box is drawn anew with the message, whatever is being written in it.
    const open = this.open.get(message.id) ?? {};
    input.value = open.draft ?? "";
    input.addEventListener("input", () => {
      open.draft = input.value;
    });
    const send = (event) => {
      event.preventDefault();
      this.update(message, { isCommenting: false, isThanked: true }, this.actions.rate(message, "unhelpful", input.value));
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) send(event);
    });
    queueMicrotask(() => requestAnimationFrame(() => input.focus()));
    return el("form", { class: "comment", onsubmit: send }, input, el("button", { class: "button" }, t("send_comment")));
  }

  async update(message, open, work) {
    this.open.set(message.id, open);
    this.actions.refresh();
    if ((await work) === false) {
      this.open.delete(message.id);
      this.actions.refresh();
    }
  }
}

export function isFinal(message) {
  return !message.reply || message.reply.kind === "answer" || message.reply.kind === "notice";
}

/** The path below the document, whose title often is its first heading. */
export function headingPath(source) {
  return source.heading_path.filter((heading, n) => n > 0 || heading !== source.title);
}

function copy(text, button) {
  navigator.clipboard?.writeText(text).then(() => {
    button.replaceChildren(icon("check"));
    button.setAttribute("aria-label", t("copied"));
    setTimeout(() => {
      button.replaceChildren(icon("copy"));
      button.setAttribute("aria-label", t("copy"));
    }, 1500);
  });
}

/** Makes `children` the children of `parent`, touching only what differs, so that focus and scrolling stay. */
function sync(parent, children) {
  children.forEach((child, n) => {
    if (parent.childNodes[n] !== child) parent.insertBefore(child, parent.childNodes[n] ?? null);
  });
  while (parent.childNodes.length > children.length) parent.lastChild.remove();
}
